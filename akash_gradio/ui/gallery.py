"""The models gallery and a model's panel: empty frames that the page's scripts fill."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class GalleryPanel:
    """The frames of the gallery.

    Attributes:
        grid: Search, filters and cards.
        model: The panel of one model.
    """

    grid: gr.HTML
    model: gr.HTML


def render_gallery() -> GalleryPanel:
    """Render both frames, of which one is visible at a time."""
    return GalleryPanel(
        grid=gr.HTML(render_template("gallery"), elem_id="gallery", apply_default_css=False),
        model=gr.HTML("", elem_id="panel", apply_default_css=False),
    )
