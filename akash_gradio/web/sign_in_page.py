"""The sign-in page as HTML; who may come in is decided by `edge`."""

from __future__ import annotations

from akash_gradio.formatting import format_duration
from akash_gradio.web import texts
from akash_gradio.web.templating import render_template, tab_icon


def sign_in_html(
    *, form: str, hub: str, fault: str, wait_s: int, after: str, up: str = "../"
) -> str:
    """The page. form, hub, fault, wait_s, after: see `edge.sign_in.Draw`.

    up: the way from its address to the page's.
    """
    said = texts.SIGN_IN[fault].format(wait=format_duration(wait_s)) if fault else ""
    return render_template(
        "sign_in",
        t=texts.SIGN_IN,
        form=form,
        hub=hub,
        fault=said,
        wrong=fault in ("wrong", "throttled"),
        after=after,
        up=up,
        tab_icon=tab_icon(),
    )
