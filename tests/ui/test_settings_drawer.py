from __future__ import annotations

import gradio as gr
import pytest

from akash_gradio.ui.settings_drawer import SettingsPanel, render_settings


def drawn(**ranges: tuple[float, float]) -> SettingsPanel:
    with gr.Blocks():
        return render_settings(ranges)


def limits(panel: SettingsPanel, name: str) -> tuple[float | None, float | None]:
    level = panel.parameters[name].level
    assert isinstance(level, gr.Slider | gr.Number)
    return level.minimum, level.maximum


def test_without_a_word_of_the_host_controls_go_as_far_as_the_protocol() -> None:
    panel = drawn()
    assert (limits(panel, "temperature"), limits(panel, "top_p")) == ((0, 2), (0, 1))
    assert (limits(panel, "max_tokens"), limits(panel, "seed")) == ((1, None), (None, None))
    assert {parameter.whose.info for parameter in panel.parameters.values()} == {None}


@pytest.mark.parametrize(
    ("name", "allowed", "says"),
    [
        ("temperature", (0.1, 0.5), "Allowed: 0.1 to 0.5"),
        ("max_tokens", (16, 512), "Allowed: 16 to 512"),
        ("presence_penalty", (-1, 1), "Allowed: -1 to 1"),
    ],
)
def test_a_control_goes_as_far_as_the_host_allows_and_says_so(
    name: str, allowed: tuple[float, float], says: str
) -> None:
    panel = drawn(**{name: allowed})
    assert limits(panel, name) == allowed
    assert panel.parameters[name].whose.info == says


def test_an_empty_box_says_what_is_sent() -> None:
    for ranges, name, says in (
        ({}, "max_tokens", "Not set"),
        ({"max_tokens": (1, 512)}, "max_tokens", "Not set: 512 is used"),
        ({"seed": (1, 9)}, "seed", "Not set"),
    ):
        level = drawn(**ranges).parameters[name].level
        assert isinstance(level, gr.Number)
        assert level.placeholder == says


def test_a_slider_begins_within_its_range() -> None:
    assert drawn(temperature=(0, 0.5)).parameters["temperature"].level.value == 0.5


def test_whose_value_holds_is_asked_before_the_value() -> None:
    for parameter in drawn().parameters.values():
        assert parameter.whose._id < parameter.level._id
