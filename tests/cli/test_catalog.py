"""`catalog check` and `catalog import`."""

from __future__ import annotations

import json
from pathlib import Path

from akash_gradio.__main__ import main
from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check import messages
from akash_gradio.check.catalog_check import Served, remarks
from akash_gradio.domain.model import ModelCard
from tests.stubs import StubThread

WRONG = """
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


def test_the_shipped_catalog_has_no_mistake(capsys) -> None:
    assert main(["catalog", "check", "--offline"], {}) == 0
    assert "mistakes: 0" in capsys.readouterr().out


def test_every_kind_of_mistake_is_told_in_a_line_and_exits_with_1(capsys, tmp_path) -> None:
    assert main(["catalog", "check", written(tmp_path, WRONG)], {}) == 1
    said = capsys.readouterr().out
    for part in (
        "models.toml: a, tokenLimit = 8192: the text says “context window of 128K”",
        "no-such-picture",
        "this id is in the catalog already",
        "models.toml: b, temperature = 3.5",
        "models.toml: b, hf_repo",
        "models.toml: b, deployUrl",
    ):
        assert part in said


def test_the_catalog_of_the_settings_is_checked_where_no_file_is_named(capsys, tmp_path) -> None:
    path = written(tmp_path, '[[models]]\nid = "mine"\n', "mine.toml")
    assert main(["catalog", "check"], {"CATALOG_FILE": path}) == 0
    assert "mine.toml: 1 models" in capsys.readouterr().out


def test_what_endpoints_serve_is_held_against_the_catalog(capsys, tmp_path) -> None:
    path = written(tmp_path, '[[models]]\nid = "known"\n[[models]]\nid = "unserved"\n')
    with StubThread(models=("known", "undescribed")) as lists, StubThread(everywhere=True) as mute:
        entries = [
            {"name": "lists", "url": lists.url},
            {"name": "mute", "url": mute.url},
            {"name": "fixed", "url": "http://127.0.0.1:9", "models": ["fixed-model"]},
        ]
        mute.set_behavior("status_500")
        given = {"ENDPOINTS": json.dumps(entries)}
        assert main(["catalog", "check", path], given) == 0
    said = capsys.readouterr().out
    assert f"lists = undescribed: {messages.CATALOG_NO_ENTRY}" in said
    assert f"fixed = fixed-model: {messages.CATALOG_NO_ENTRY}" in said
    assert f"mute: {messages.CATALOG_SILENT}" in said
    assert f"models.toml: unserved: {messages.CATALOG_UNSERVED}" in said
    assert "models.toml: known" not in said


def test_a_model_that_is_switched_off_need_not_be_served() -> None:
    catalog = Catalog(cards=(ModelCard(id="off", name="Off", available=False),))
    assert remarks("models.toml", catalog, Served(models={})) == ()


def test_import_prints_a_catalog_and_tells_what_it_left_out(capsys, tmp_path) -> None:
    path = written(
        tmp_path,
        "export const models = [{ id: 'a', top_p: 0.9, icon: Icon },\n{ id: 'b', temperature: 9 }]",
        "models.ts",
    )
    assert main(["catalog", "import", path], {}) == 1
    told = capsys.readouterr()
    catalog = tmp_path / "made.toml"
    catalog.write_text(told.out)
    assert [card.id for card in read_catalog(catalog).cards] == ["a"]
    assert "icon: this catalog has no such field" in told.err
    assert "temperature = 9" in told.err


def test_a_file_that_is_not_there_exits_with_2(capsys) -> None:
    assert main(["catalog", "import", "nowhere.ts"], {}) == 2
    assert main(["catalog", "check", "nowhere.toml"], {}) == 2
    assert "nowhere.toml" in capsys.readouterr().err
