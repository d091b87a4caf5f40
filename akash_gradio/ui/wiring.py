"""What is tied to what: one function per gesture.

Settings live in the browser, with the chat they belong to; so their controls are tied
to the page's script (`assets/js/settings.js`) and no round trip is made.
"""

from __future__ import annotations

from typing import Final

import gradio as gr

from akash_gradio.ui.settings_drawer import SettingsPanel

_TELL: Final = "(value) => { window.akashGradio?.settings.set(%r, value); }"
_FILL: Final = "() => window.akashGradio.settings.shown()"
_RESET: Final = "() => { window.akashGradio.settings.reset(); }"


def wire_settings(panel: SettingsPanel) -> None:
    """A control that a visitor moves tells the chat its new value.

    Not the textboxes: Gradio's event for them tells of keys alone, and misses a paste, a
    deletion and dictation. The script listens to them itself.
    """
    for name, control in panel.values().items():
        if isinstance(control, gr.Textbox):
            continue
        control.input(fn=None, inputs=[control], js=_TELL % name, queue=False)  # type: ignore[attr-defined]


def wire_open_chat(panel: SettingsPanel) -> None:
    """A chat that is opened fills the controls; the script presses the hidden button."""
    outputs = list(panel.values().values())
    panel.sync.click(fn=None, js=_FILL, outputs=outputs, queue=False)


def wire_reset(panel: SettingsPanel) -> None:
    """Reset leaves every parameter to the catalog and the endpoint again."""
    panel.reset.click(fn=None, js=_RESET, queue=False)
