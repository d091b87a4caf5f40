"""A Python file with models: what it offers, and what is said when it offers nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

import akash_gradio as ag
from akash_gradio.cli.main import main
from akash_gradio.config.settings import read_settings

MODELS = """
import akash_gradio as ag
from helper import answer

@ag.model("mine", name="Mine", max_concurrency=2)
def reply(messages):
    yield answer()

other = ag.Endpoint("https://host.example/v1", models=["theirs"])
theirs = ag.Model(card=ag.ModelCard(id="theirs", name="Theirs"))
again = reply
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "helper.py").write_text("def answer():\n    return 'Hi'\n")
    path = tmp_path / "my_models.py"
    path.write_text(MODELS)
    return path


def test_a_files_models_and_endpoints_are_used(models: Path) -> None:
    app = ag.App(models_file=models)
    assert [entry.models for entry in app.settings.endpoints] == [("mine",), ("theirs",)]
    assert app.settings.endpoints[0].max_concurrency == 2
    assert {card.name for card in app._cards} == {"Mine", "Theirs"}


def test_they_are_added_to_the_endpoints_of_the_environment(models: Path) -> None:
    variables = {"ENDPOINTS": '[{"url": "https://h/v1", "name": "h"}]', "MODELS_FILE": str(models)}
    settings = read_settings(variables, None)
    assert not settings.embedded_enabled
    app = ag.App.from_settings(settings)
    assert [entry.name for entry in app.settings.endpoints] == ["h", "mine", "endpoint-1"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("empty.py", "x = 1\n", "defines no model"),
        ("missing.py", None, "is not a file"),
        ("models.txt", "x = 1\n", "must end in .py"),
    ],
)
def test_a_file_without_models_is_an_error_of_the_command(
    tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(path)], {})
    assert message in str(ended.value)
