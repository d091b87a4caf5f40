"""The page: builds its sections and the settings drawer, and wires their events.

A section is a template in a `gr.HTML`, which the page's scripts fill. The chat isn't a
`gr.Chatbot`: finished turns must not change while an answer is streamed, and answers arrive by our
own event stream. docs/frontend.md has the measurements behind this choice.
"""

from __future__ import annotations

from collections.abc import Mapping

import gradio as gr

from akash_gradio import __version__
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.ui.settings_drawer import Range, render_settings
from akash_gradio.ui.wiring import wire_open_chat, wire_reset, wire_settings
from akash_gradio.web import texts
from akash_gradio.web.templating import render_template


def build_ui(ranges: Mapping[str, Range] = EMPTY_MAPPING) -> gr.Blocks:
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
            _section("sidebar", render_template("sidebar", title=title, version=__version__))
            with gr.Column(elem_id="main"):
                _section("topbar", render_template("topbar"))
                _section("gallery", render_template("gallery"))
                _section("panel", "")  # a model's panel
                _section("chat", render_template("chat"))
                _section("compare", render_template("compare"))
                _section("votes", render_template("ranking_frame"))
                _section("check", render_template("check"))
                _section("sets", render_template("sets"))
        with gr.Column(elem_id="drawer"):
            settings = render_settings(ranges)
        wire_settings(settings)
        wire_open_chat(settings)
        wire_reset(settings)
    return page


def _section(elem_id: str, html: str) -> None:
    gr.HTML(html, elem_id=elem_id, apply_default_css=False)
