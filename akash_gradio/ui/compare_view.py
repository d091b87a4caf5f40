"""The comparison and its table of votes: empty frames that the page's script fills."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from akash_gradio.web.templating import render_template


@dataclass(frozen=True, slots=True)
class ComparePanel:
    """lanes: head, lanes, vote, composer and race strip in one block. votes: the table."""

    lanes: gr.HTML
    votes: gr.HTML


def render_compare() -> ComparePanel:
    """Draw the frames, without lanes and without votes."""
    return ComparePanel(
        lanes=gr.HTML(render_template("compare"), elem_id="compare", apply_default_css=False),
        votes=gr.HTML(render_template("ranking_frame"), elem_id="votes", apply_default_css=False),
    )
