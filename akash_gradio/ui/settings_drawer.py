"""The settings of a chat, in a drawer that pushes nothing aside."""

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
"""The lowest and the highest value."""


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


def render_settings(ranges: Mapping[str, Range] = EMPTY_MAPPING) -> SettingsPanel:
    """Draw the drawer's controls; nothing is tied yet.

    ranges: what the host lets visitors set, by the parameters' wire names.
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
        "max_tokens": _whole("max_tokens", 1, ranges),
    }
    stream = gr.Checkbox(label=s["stream"], value=True, elem_id="stream")
    gr.HTML(render_template("drawer_more"), apply_default_css=False)
    with gr.Column(elem_id="rarer-settings"):
        parameters |= {
            "seed": _whole("seed", None, ranges),
            "stop": _lines("stop"),
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


def _whose(name: str, allowed: Range | None = None) -> gr.Radio:
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


def _slider(name: str, whole: Range, value: float, ranges: Mapping[str, Range]) -> Parameter:
    """whole: what the protocol knows; the host may allow less, or more."""
    low, high = ranges.get(name, whole)
    whose = _whose(name, ranges.get(name))
    level = gr.Slider(
        low,
        high,
        min(high, max(low, value)),
        step=0.05,
        label=texts.SETTINGS[name],
        elem_classes="level rest",
        elem_id=name,
    )
    return Parameter(whose=whose, level=level)


def _whole(name: str, minimum: int | None, ranges: Mapping[str, Range]) -> Parameter:
    low, high = ranges.get(name, (minimum, None))
    whose = _whose(name, ranges.get(name))
    level = gr.Number(
        None,
        label=texts.SETTINGS[name],
        placeholder=_unset(name, high),
        precision=0,
        minimum=low,
        maximum=high,
        elem_classes="level-box rest",
        elem_id=name,
    )
    return Parameter(whose=whose, level=level)


def _unset(name: str, high: float | None) -> str:
    """What an empty box means: a host's highest `max_tokens` is sent where none is set."""
    if name == "max_tokens" and high is not None:
        return texts.SETTINGS["highest_sent"].format(high=f"{high:.0f}")
    return texts.SETTINGS["not_set"]


def _lines(name: str) -> Parameter:
    whose = _whose(name)
    level = gr.Textbox(
        label=texts.SETTINGS[name],
        placeholder=texts.SETTINGS["stop_hint"],
        lines=2,
        max_lines=4,
        elem_classes="level-box rest",
        elem_id=name,
        interactive=True,
    )
    return Parameter(whose=whose, level=level)
