"""The sign-in page as HTML; `auth` decides who may sign in."""

from __future__ import annotations

from akash_gradio.formatting import format_duration
from akash_gradio.web import texts
from akash_gradio.web.templating import render_template, tab_icon


def sign_in_html(
    *, form: str, hub: str, fault: str, wait_s: int, after: str, up: str = "../"
) -> str:
    """Render the sign-in page.

    Args:
        form: The secret to enter, `token` or `password`; "" for no form.
        hub: Who may sign in with Hugging Face, `everybody` or `named`; "" if it isn't offered.
        fault: The error of the last attempt, a key of `texts.SIGN_IN`; "" without one.
        wait_s: Seconds until the next attempt is accepted, after too many failed ones.
        after: The query of the page to open after signing in.
        up: The address of the page relative to this one.
    """
    error = texts.SIGN_IN[fault].format(wait=format_duration(wait_s)) if fault else ""
    return render_template(
        "sign_in",
        t=texts.SIGN_IN,
        form=form,
        hub=hub,
        fault=error,
        wrong=fault in ("wrong", "throttled"),
        after=after,
        up=up,
        tab_icon=tab_icon(),
    )
