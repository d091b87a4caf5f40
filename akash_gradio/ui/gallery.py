"""The models gallery and a model's panel: empty frames that the page's script fills."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class GalleryPanel:
    """grid: search, filters and cards. model: one model's About and Info."""

    grid: gr.HTML
    model: gr.HTML


def render_gallery() -> GalleryPanel:
    """Draw both frames; one of them is seen at a time."""
    return GalleryPanel(
        grid=gr.HTML(render_template("gallery"), elem_id="gallery", apply_default_css=False),
        model=gr.HTML("", elem_id="panel", apply_default_css=False),
    )
