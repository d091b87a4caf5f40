"""`catalog check` and `catalog import`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check import messages
from akash_gradio.check.catalog_check import ServedModels, catalog_notes
from akash_gradio.cli.main import main
from akash_gradio.domain.model import ModelCard
from tests.stubs import StubThread

Capsys = pytest.CaptureFixture[str]
INVALID = """
[[models]]
id = "a"
tokenLimit = 8192
description = "With a context window of 128K tokens"
thumbnailId = "no-such-picture"

[[models]]
id = "A"

[[models]]
id = "b"
temperature = 3.5
hf_repo = "https://huggingface.co/org/b"
deployUrl = "http://console"
"""


def written(folder: Path, text: str, name: str = "models.toml") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_shipped_catalog_has_no_errors(capsys: Capsys) -> None:
    assert main(["catalog", "check", "--offline"], {}) == 0
    assert "0 errors" in capsys.readouterr().out


def test_every_error_is_printed_on_a_line_and_exits_with_1(capsys: Capsys, tmp_path: Path) -> None:
    assert main(["catalog", "check", written(tmp_path, INVALID)], {}) == 1
    output = capsys.readouterr().out
    for part in (
        "a, tokenLimit = 8192: contradicts the text, which mentions “context window of 128K”",
        "no-such-picture",
        "another entry has this id",
        "models.toml: b, temperature = 3.5",
        "models.toml: b, hf_repo",
        "models.toml: b, deployUrl",
    ):
        assert part in output


def test_the_configured_catalog_is_checked_if_no_file_is_named(
    capsys: Capsys, tmp_path: Path
) -> None:
    path = written(tmp_path, '[[models]]\nid = "mine"\n', "mine.toml")
    assert main(["catalog", "check"], {"CATALOG_FILE": path}) == 0
    assert "mine.toml: 1 models" in capsys.readouterr().out


def test_the_catalog_is_compared_with_what_endpoints_serve(capsys: Capsys, tmp_path: Path) -> None:
    path = written(tmp_path, '[[models]]\nid = "known"\n[[models]]\nid = "unserved"\n')
    with (
        StubThread(models=("known", "undescribed")) as healthy,
        StubThread(everywhere=True) as failing,
    ):
        entries = [
            {"name": "healthy", "url": healthy.url},
            {"name": "failing", "url": failing.url},
            {"name": "fixed", "url": "http://127.0.0.1:9", "models": ["fixed-model"]},
        ]
        failing.set_behavior("status_500")
        environment = {"ENDPOINTS": json.dumps(entries)}
        assert main(["catalog", "check", path], environment) == 0
    output = capsys.readouterr().out
    assert f"healthy = undescribed: {messages.CATALOG_NO_ENTRY}" in output
    assert f"fixed = fixed-model: {messages.CATALOG_NO_ENTRY}" in output
    assert f"failing: {messages.CATALOG_ENDPOINT_UNLISTED}" in output
    assert f"models.toml: unserved: {messages.CATALOG_NOT_SERVED}" in output
    assert "models.toml: known" not in output


def test_a_hidden_model_need_not_be_served() -> None:
    catalog = Catalog(cards=(ModelCard(id="off", name="Off", available=False),))
    assert catalog_notes("models.toml", catalog, ServedModels(by_endpoint={})) == ()


def test_import_prints_a_catalog_and_reports_what_it_left_out(
    capsys: Capsys, tmp_path: Path
) -> None:
    path = written(
        tmp_path,
        "export const models = [{ id: 'a', top_p: 0.9, icon: Icon },\n{ id: 'b', temperature: 9 }]",
        "models.ts",
    )
    assert main(["catalog", "import", path], {}) == 1
    printed = capsys.readouterr()
    catalog = tmp_path / "made.toml"
    catalog.write_text(printed.out)
    assert [card.id for card in read_catalog(catalog).cards] == ["a"]
    assert "icon: is not a field of the catalog" in printed.err
    assert "temperature = 9" in printed.err


def test_a_missing_file_exits_with_2(capsys: Capsys) -> None:
    assert main(["catalog", "import", "nowhere.ts"], {}) == 2
    assert main(["catalog", "check", "nowhere.toml"], {}) == 2
    assert "nowhere.toml" in capsys.readouterr().err
