"""Gradio's theme: one neutral color scale and the system's fonts.

The custom properties are defined in `assets/css/page.css`.
"""

from __future__ import annotations

from typing import Final

import gradio as gr

SANS: Final = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
MONO: Final = ("ui-monospace", "SF Mono", "Cascadia Code", "Menlo", "Consolas", "monospace")


def page_theme() -> gr.themes.Base:
    """Return a theme without web fonts, whose controls use the page's custom properties."""
    theme = gr.themes.Base(
        primary_hue=gr.themes.colors.zinc,
        secondary_hue=gr.themes.colors.zinc,
        neutral_hue=gr.themes.colors.zinc,
        font=list(SANS),
        font_mono=list(MONO),
    )
    return theme.set(
        body_background_fill="var(--page)",
        body_background_fill_dark="var(--page)",
        body_text_color="var(--text)",
        body_text_color_dark="var(--text)",
        slider_color="var(--primary)",
        slider_color_dark="var(--primary)",
        checkbox_background_color_selected="var(--primary)",
        checkbox_background_color_selected_dark="var(--control)",
        checkbox_border_color_selected="var(--primary)",
        checkbox_border_color_selected_dark="var(--control)",
    )
