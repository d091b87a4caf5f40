from __future__ import annotations

import gradio as gr
import pytest

from akash_gradio.ui.settings_drawer import SettingsPanel, render_settings


def render_panel(**ranges: tuple[float, float]) -> SettingsPanel:
    with gr.Blocks():
        return render_settings(ranges)


def limits(panel: SettingsPanel, name: str) -> tuple[float | None, float | None]:
    control = panel.parameters[name].value
    assert isinstance(control, gr.Slider | gr.Number)
    return control.minimum, control.maximum


def test_without_limits_the_controls_allow_what_the_protocol_allows() -> None:
    panel = render_panel()
    assert (limits(panel, "temperature"), limits(panel, "top_p")) == ((0, 2), (0, 1))
    assert (limits(panel, "max_tokens"), limits(panel, "seed")) == ((1, None), (None, None))
    assert {parameter.source.info for parameter in panel.parameters.values()} == {None}


@pytest.mark.parametrize(
    ("name", "allowed", "info"),
    [
        ("temperature", (0.1, 0.5), "Allowed: 0.1 to 0.5"),
        ("max_tokens", (16, 512), "Allowed: 16 to 512"),
        ("presence_penalty", (-1, 1), "Allowed: -1 to 1"),
    ],
)
def test_a_control_is_limited_to_the_allowed_range_and_shows_it(
    name: str, allowed: tuple[float, float], info: str
) -> None:
    panel = render_panel(**{name: allowed})
    assert limits(panel, name) == allowed
    assert panel.parameters[name].source.info == info


def test_the_placeholder_of_a_number_names_what_is_sent() -> None:
    cases: list[tuple[dict[str, tuple[float, float]], str, str]] = [
        ({}, "max_tokens", "Not set"),
        ({"max_tokens": (1, 512)}, "max_tokens", "Not set: 512 is used"),
        ({"seed": (1, 9)}, "seed", "Not set"),
    ]
    for ranges, name, placeholder in cases:
        control = render_panel(**ranges).parameters[name].value
        assert isinstance(control, gr.Number)
        assert control.placeholder == placeholder


def test_the_initial_value_of_a_slider_is_within_its_range() -> None:
    assert render_panel(temperature=(0, 0.5)).parameters["temperature"].value.value == 0.5


def test_the_choice_of_a_default_precedes_the_value() -> None:
    for parameter in render_panel().parameters.values():
        assert parameter.source._id < parameter.value._id
