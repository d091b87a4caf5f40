"""The page: renders its sections and wires their events."""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from akash_gradio import __version__
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.ui.chat import render_chat
from akash_gradio.ui.compare_view import render_compare
from akash_gradio.ui.gallery import render_gallery
from akash_gradio.ui.sets_view import render_sets
from akash_gradio.ui.settings_drawer import render_settings
from akash_gradio.ui.wiring import wire_open_chat, wire_reset, wire_settings
from akash_gradio.web import texts
from akash_gradio.web.templating import render_template


def build_ui(ranges: Mapping[str, tuple[float, float]] = EMPTY_MAPPING) -> gr.Blocks:
    """Build the Blocks of the page, which needs the routes of `web.routes.page_routes`.

    Args:
        ranges: Lowest and highest allowed value by parameter.

    Returns:
        The Blocks, which hold no state of a visitor.
    """
    title = texts.PAGE["title"]
    page = gr.Blocks(title=title, fill_width=True, fill_height=True, analytics_enabled=False)
    with page:
        with gr.Row(elem_id="shell"):
            gr.HTML(
                render_template("sidebar", title=title, version=__version__),
                elem_id="sidebar",
                apply_default_css=False,
            )
            with gr.Column(elem_id="main"):
                gr.HTML(render_template("topbar"), elem_id="topbar", apply_default_css=False)
                render_gallery()
                render_chat()
                render_compare()
                gr.HTML(render_template("check"), elem_id="check", apply_default_css=False)
                render_sets()
        with gr.Column(elem_id="drawer"):
            settings = render_settings(ranges)
        wire_settings(settings)
        wire_open_chat(settings)
        wire_reset(settings)
    return page
