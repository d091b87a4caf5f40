"""The settings of a chat, in a drawer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import gradio as gr
from gradio.components import Component

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.web import texts
from akash_gradio.web.templating import render_template

Range: TypeAlias = tuple[float, float]
"""The lowest and the highest allowed value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """The controls of a parameter.

    Attributes:
        source: Which value applies: the model's default, the provider's, or a custom one.
        value: The custom value.
    """

    source: gr.Radio
    value: Component


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsPanel:
    """The controls of the drawer.

    Attributes:
        parameters: By their wire names, in the order in which the script fills them.
        reset: Resets every parameter.
        sync: A hidden button that the script clicks to fill the controls.
    """

    system: gr.Textbox
    parameters: dict[str, Parameter]
    stream: gr.Checkbox
    reset: gr.Button
    sync: gr.Button

    def values(self) -> dict[str, Component]:
        """Return the control of each setting, in the order in which the script fills them."""
        controls: dict[str, Component] = {"system": self.system}
        for name, parameter in self.parameters.items():
            controls |= {f"{name}_of": parameter.source, name: parameter.value}
        return controls | {"stream": self.stream}


def render_settings(ranges: Mapping[str, Range] = EMPTY_MAPPING) -> SettingsPanel:
    """Render the controls of the drawer, without events.

    Args:
        ranges: What the operator allows, by the parameters' wire names.
    """
    s = texts.SETTINGS
    gr.HTML(render_template("drawer_head"), apply_default_css=False)
    system = gr.Textbox(
        label=s["system"],
        placeholder=s["system_hint"],
        lines=4,
        max_lines=12,
        elem_id="system",
        interactive=True,
    )
    gr.HTML(render_template("drawer_prompts"), apply_default_css=False)
    parameters = {
        "temperature": _slider("temperature", (0, 2), 0.7, ranges),
        "top_p": _slider("top_p", (0, 1), 0.9, ranges),
        "max_tokens": _number("max_tokens", 1, ranges),
    }
    stream = gr.Checkbox(label=s["stream"], value=True, elem_id="stream")
    gr.HTML(render_template("drawer_more"), apply_default_css=False)
    with gr.Column(elem_id="rarer-settings"):
        parameters |= {
            "seed": _number("seed", None, ranges),
            "stop": _text_lines("stop"),
            "presence_penalty": _slider("presence_penalty", (-2, 2), 0, ranges),
            "frequency_penalty": _slider("frequency_penalty", (-2, 2), 0, ranges),
        }
    return SettingsPanel(
        system=system,
        parameters=parameters,
        stream=stream,
        reset=gr.Button(s["reset"], elem_classes="reset", elem_id="settings-reset"),
        sync=gr.Button("", elem_id="settings-sync", visible="hidden"),
    )


def _source(name: str, allowed: Range | None = None) -> gr.Radio:
    s = texts.SETTINGS
    choices = [(s["catalog"], "catalog"), (s["endpoint"], "endpoint"), (s["custom"], "custom")]
    info = None
    if allowed is not None:
        low, high = allowed
        info = s["allowed"].format(low=f"{low:g}", high=f"{high:g}")
    return gr.Radio(
        choices,
        value="catalog",
        label=s[name],
        info=info,
        elem_classes="three",
        elem_id=f"{name}-of",
    )


def _slider(
    name: str, default_range: Range, value: float, ranges: Mapping[str, Range]
) -> Parameter:
    low, high = ranges.get(name, default_range)
    source = _source(name, ranges.get(name))
    control = gr.Slider(
        low,
        high,
        min(high, max(low, value)),
        step=0.05,
        label=texts.SETTINGS[name],
        elem_classes="level rest",
        elem_id=name,
    )
    return Parameter(source=source, value=control)


def _number(name: str, minimum: int | None, ranges: Mapping[str, Range]) -> Parameter:
    low, high = ranges.get(name, (minimum, None))
    source = _source(name, ranges.get(name))
    control = gr.Number(
        None,
        label=texts.SETTINGS[name],
        placeholder=_placeholder(name, high),
        precision=0,
        minimum=low,
        maximum=high,
        elem_classes="level-box rest",
        elem_id=name,
    )
    return Parameter(source=source, value=control)


def _placeholder(name: str, high: float | None) -> str:
    """Return what an empty box means: the operator's maximum is sent if `max_tokens` is empty."""
    if name == "max_tokens" and high is not None:
        return texts.SETTINGS["highest_sent"].format(high=f"{high:.0f}")
    return texts.SETTINGS["not_set"]


def _text_lines(name: str) -> Parameter:
    source = _source(name)
    control = gr.Textbox(
        label=texts.SETTINGS[name],
        placeholder=texts.SETTINGS["stop_hint"],
        lines=2,
        max_lines=4,
        elem_classes="level-box rest",
        elem_id=name,
        interactive=True,
    )
    return Parameter(source=source, value=control)
