"""The chat: thread and composer.

Not `gr.Chatbot`: settled turns must stand still while an answer grows, and the answer
comes by an event stream of our own. docs/frontend.md has the figures behind the choice.
"""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class ChatPanel:
    """thread: turns and composer in one block, filled by the page's script."""

    thread: gr.HTML


def render_chat() -> ChatPanel:
    """Draw the empty thread and the composer."""
    return ChatPanel(
        thread=gr.HTML(render_template("chat"), elem_id="chat", apply_default_css=False)
    )
