"""The comparison and the ranking: empty frames that the page's scripts fill."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class ComparePanel:
    """The frames of the comparison.

    Attributes:
        lanes: The lanes, their vote and composer in one block.
        votes: The ranking.
    """

    lanes: gr.HTML
    votes: gr.HTML


def render_compare() -> ComparePanel:
    """Render the frames, without lanes and without votes."""
    return ComparePanel(
        lanes=gr.HTML(render_template("compare"), elem_id="compare", apply_default_css=False),
        votes=gr.HTML(render_template("ranking_frame"), elem_id="votes", apply_default_css=False),
    )
