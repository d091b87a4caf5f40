"""Prompt sets: an empty frame that the page's scripts fill."""

from __future__ import annotations

import gradio as gr

from akash_gradio.web.templating import render_template


def render_sets() -> gr.HTML:
    """Render the form of a new set, and the frame of a run."""
    return gr.HTML(render_template("sets"), elem_id="sets", apply_default_css=False)
