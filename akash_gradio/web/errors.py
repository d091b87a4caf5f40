"""What the edge of the page says when it refuses, in the shape that the page's script reads."""

from __future__ import annotations

from akash_gradio.web import texts


def error_body(kind: str, **facts: str) -> dict[str, object]:
    """The JSON of a error_body. kind: a key of `texts.MIDDLEWARE_ERRORS`; facts fill its words.

    `message` is for clients of `/v1`, which know no other field.
    """
    title, mend = (text.format(**facts) for text in texts.MIDDLEWARE_ERRORS[kind])
    told = {"title": title, "mend": mend, "details": "", "retry": kind == "closing"}
    return {"error": {**told, "message": f"{title} {mend}", "type": "refused", "code": kind}}
