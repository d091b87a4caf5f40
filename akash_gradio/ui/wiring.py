"""The events of the page, one function for each.

Settings are stored in the browser with their chat, so their controls call the page's script
(`assets/js/settings.js`) and no event runs Python.
"""

from __future__ import annotations

from typing import Final

import gradio as gr

from akash_gradio.ui.settings_drawer import SettingsPanel

_SET: Final = "(value) => { window.akashGradio?.settings.set(%r, value); }"
_FILL: Final = "() => window.akashGradio.settings.shown()"
_RESET: Final = "() => { window.akashGradio.settings.reset(); }"


def wire_settings(panel: SettingsPanel) -> None:
    """Store the new value of a control in the open chat.

    The script listens to text boxes itself: Gradio's input event fires for keys only, not for
    pasting, cutting or dictation.
    """
    for name, control in panel.values().items():
        if isinstance(control, gr.Textbox):
            continue
        control.input(fn=None, inputs=[control], js=_SET % name, queue=False)  # type: ignore[attr-defined]


def wire_open_chat(panel: SettingsPanel) -> None:
    """Fill the controls when a chat is opened; the script clicks the hidden button."""
    outputs = list(panel.values().values())
    panel.sync.click(fn=None, js=_FILL, outputs=outputs, queue=False)


def wire_reset(panel: SettingsPanel) -> None:
    """Reset every parameter to its default."""
    panel.reset.click(fn=None, js=_RESET, queue=False)
