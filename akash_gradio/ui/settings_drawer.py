"""The settings of a chat, in a drawer that pushes nothing aside."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from akash_gradio.ui import words
from akash_gradio.ui.pieces import piece


@dataclass(frozen=True, slots=True)
class SettingsPanel:
    """Each three-state parameter is a choice of whose value, and a slider for `mine`."""

    system: gr.Textbox
    temperature_of: gr.Radio
    temperature: gr.Slider
    top_p_of: gr.Radio
    top_p: gr.Slider
    max_tokens: gr.Number
    seed: gr.Number
    stop: gr.Textbox
    stream: gr.Checkbox
    reset: gr.Button
    sync: gr.Button

    def values(self) -> dict[str, Component]:
        """Setting → component, in the order in which the script fills them."""
        return {
            "system": self.system,
            "temperature_of": self.temperature_of,
            "temperature": self.temperature,
            "top_p_of": self.top_p_of,
            "top_p": self.top_p,
            "max_tokens": self.max_tokens,
            "seed": self.seed,
            "stop": self.stop,
            "stream": self.stream,
        }


def render_settings() -> SettingsPanel:
    """Draw the drawer's controls; nothing is tied yet."""
    s = words.SETTINGS
    gr.HTML(piece("drawer_head"), apply_default_css=False)
    return SettingsPanel(
        system=gr.Textbox(
            label=s["system"],
            placeholder=s["system_hint"],
            lines=4,
            max_lines=12,
            elem_id="system",
            interactive=True,
        ),
        temperature_of=_whose(s["temperature"]),
        temperature=_level(s["temperature"], maximum=2, value=0.7, name="temperature"),
        top_p_of=_whose(s["top_p"]),
        top_p=_level(s["top_p"], maximum=1, value=0.9, name="top_p"),
        max_tokens=_whole(s["max_tokens"], s["empty_own"], minimum=1, name="max-tokens"),
        seed=_whole(s["seed"], s["empty_none"], minimum=None, name="seed"),
        stop=gr.Textbox(
            label=s["stop"],
            placeholder=s["empty_none"],
            lines=1,
            max_lines=4,
            elem_id="stop",
            interactive=True,
        ),
        stream=gr.Checkbox(label=s["stream"], value=True, elem_id="stream"),
        reset=gr.Button(s["reset"], elem_classes="reset", elem_id="settings-reset"),
        sync=gr.Button("", elem_id="settings-sync", visible="hidden"),
    )


def _whose(label: str) -> gr.Radio:
    s = words.SETTINGS
    choices = [(s["catalog"], "catalog"), (s["endpoint"], "endpoint"), (s["mine"], "mine")]
    return gr.Radio(choices, value="catalog", label=label, elem_classes="three")


def _level(label: str, *, maximum: float, value: float, name: str) -> gr.Slider:
    return gr.Slider(
        0, maximum, value, step=0.05, label=label, elem_classes="level rest", elem_id=name
    )


def _whole(label: str, hint: str, *, minimum: int | None, name: str) -> gr.Number:
    return gr.Number(
        None, label=label, placeholder=hint, precision=0, minimum=minimum, elem_id=name
    )
