"""The settings of a chat, in a drawer that pushes nothing aside."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from akash_gradio.ui import words
from akash_gradio.ui.pieces import piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A three-state parameter: whose value holds, and the visitor's own."""

    whose: gr.Radio
    level: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPanel:
    """parameters: by their wire names, in the order in which the script fills them."""

    system: gr.Textbox
    parameters: dict[str, Parameter]
    stream: gr.Checkbox
    reset: gr.Button
    sync: gr.Button

    def values(self) -> dict[str, Component]:
        """Setting → component, in the order in which the script fills them."""
        found: dict[str, Component] = {"system": self.system}
        for name, parameter in self.parameters.items():
            found |= {f"{name}_of": parameter.whose, name: parameter.level}
        return found | {"stream": self.stream}


def render_settings() -> SettingsPanel:
    """Draw the drawer's controls; nothing is tied yet."""
    s = words.SETTINGS
    gr.HTML(piece("drawer_head"), apply_default_css=False)
    system = gr.Textbox(
        label=s["system"],
        placeholder=s["system_hint"],
        lines=4,
        max_lines=12,
        elem_id="system",
        interactive=True,
    )
    gr.HTML(piece("drawer_prompts"), apply_default_css=False)
    parameters = {
        "temperature": Parameter(
            whose=_whose(s["temperature"], "temperature"),
            level=_slider(s["temperature"], "temperature", 0, 2, 0.7),
        ),
        "top_p": Parameter(
            whose=_whose(s["top_p"], "top_p"), level=_slider(s["top_p"], "top_p", 0, 1, 0.9)
        ),
        "max_tokens": Parameter(
            whose=_whose(s["max_tokens"], "max_tokens"),
            level=_whole(s["max_tokens"], "max_tokens", minimum=1),
        ),
    }
    stream = gr.Checkbox(label=s["stream"], value=True, elem_id="stream")
    gr.HTML(piece("drawer_more"), apply_default_css=False)
    with gr.Column(elem_id="rarer-settings"):
        parameters |= _rarer()
    return SettingsPanel(
        system=system,
        parameters=parameters,
        stream=stream,
        reset=gr.Button(s["reset"], elem_classes="reset", elem_id="settings-reset"),
        sync=gr.Button("", elem_id="settings-sync", visible="hidden"),
    )


def _rarer() -> dict[str, Parameter]:
    """Behind "More settings": what most visitors never touch."""
    s = words.SETTINGS
    return {
        "seed": Parameter(
            whose=_whose(s["seed"], "seed"), level=_whole(s["seed"], "seed", minimum=None)
        ),
        "stop": Parameter(whose=_whose(s["stop"], "stop"), level=_lines(s["stop"], "stop")),
        "presence_penalty": Parameter(
            whose=_whose(s["presence_penalty"], "presence_penalty"),
            level=_slider(s["presence_penalty"], "presence_penalty", -2, 2, 0),
        ),
        "frequency_penalty": Parameter(
            whose=_whose(s["frequency_penalty"], "frequency_penalty"),
            level=_slider(s["frequency_penalty"], "frequency_penalty", -2, 2, 0),
        ),
    }


def _whose(label: str, name: str) -> gr.Radio:
    s = words.SETTINGS
    choices = [(s["catalog"], "catalog"), (s["endpoint"], "endpoint"), (s["mine"], "mine")]
    return gr.Radio(
        choices, value="catalog", label=label, elem_classes="three", elem_id=f"{name}-of"
    )


def _slider(label: str, name: str, minimum: float, maximum: float, value: float) -> gr.Slider:
    return gr.Slider(
        minimum,
        maximum,
        value,
        step=0.05,
        label=label,
        elem_classes="level rest",
        elem_id=name,
    )


def _whole(label: str, name: str, *, minimum: int | None) -> gr.Number:
    return gr.Number(
        None,
        label=label,
        placeholder=words.SETTINGS["not_set"],
        precision=0,
        minimum=minimum,
        elem_classes="level-box rest",
        elem_id=name,
    )


def _lines(label: str, name: str) -> gr.Textbox:
    return gr.Textbox(
        label=label,
        placeholder=words.SETTINGS["stop_hint"],
        lines=2,
        max_lines=4,
        elem_classes="level-box rest",
        elem_id=name,
        interactive=True,
    )
