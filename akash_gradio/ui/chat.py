"""The chat: thread and composer.

It is not a `gr.Chatbot`: finished turns must not change while an answer is streamed, and answers
arrive by our own event stream. docs/frontend.md has the measurements behind this choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class ChatPanel:
    """The turns and the composer in one block, filled by the page's scripts."""

    thread: gr.HTML


def render_chat() -> ChatPanel:
    """Render the empty thread and the composer."""
    return ChatPanel(
        thread=gr.HTML(render_template("chat"), elem_id="chat", apply_default_css=False)
    )
