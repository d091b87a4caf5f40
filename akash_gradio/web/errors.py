"""What the edge of the page says when it refuses, in the shape that the page's script reads."""

from __future__ import annotations

from akash_gradio.web import texts


def refusal(kind: str, **facts: str) -> dict[str, object]:
    """The JSON of a refusal. kind: a key of `texts.EDGE`; facts fill its words.

    `message` is for clients of `/v1`, which know no other field.
    """
    title, mend = (text.format(**facts) for text in texts.EDGE[kind])
    told = {"title": title, "mend": mend, "details": "", "retry": kind == "closing"}
    return {"error": {**told, "message": f"{title} {mend}", "type": "refused", "code": kind}}
