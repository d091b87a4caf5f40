"""Texts and the code that uses them match: no text is missing, and none is unused."""

from __future__ import annotations

import re
from pathlib import Path
from string import Formatter

import pytest

from akash_gradio.compare.run_diff import ChangeKind
from akash_gradio.compare.runner import RunState
from akash_gradio.web import texts

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "akash_gradio" / "web"
UI = ROOT / "akash_gradio" / "ui"
SCRIPTS = "\n".join(path.read_text() for path in sorted((ROOT / "assets" / "js").glob("*.js")))
TEMPLATES = "\n".join(path.read_text() for path in sorted((WEB / "templates").glob("*.html")))
SOURCES = [path for folder in (WEB, UI) for path in sorted(folder.rglob("*.py"))]
PYTHON = "\n".join(path.read_text() for path in SOURCES if path.name != "texts.py")
EXPRESSIONS = "\n".join(re.findall(r"\{[{%].*?[%}]\}", TEMPLATES, re.DOTALL))


def keys_in_templates(name: str) -> set[str]:
    return set(re.findall(rf"(?<![\w.]){name}\.(\w+)", EXPRESSIONS))


def keys_in_scripts(name: str) -> set[str]:
    return set(re.findall(rf"\b{name}\.(\w+)", SCRIPTS)) - {"js"}


def keys_in_python(*names: str) -> set[str]:
    """Return the keys in subscripts of a name: `texts.PANEL["own"]`, `name["own"]`."""
    keys = set()
    for name in names:
        keys |= set(re.findall(rf'\b{name}\["(\w+)"\]', PYTHON))
    return keys


PAGE_IN_SCRIPTS = keys_in_scripts("strings")
PAGE_USED = keys_in_templates("w") | PAGE_IN_SCRIPTS | keys_in_python(r"texts\.PAGE")
PANEL_USED = keys_in_templates("p") | keys_in_python(r"texts\.PANEL")
SETTINGS_USED = keys_in_templates("s") | keys_in_python(r"texts\.SETTINGS")


def test_every_text_that_a_script_uses_exists() -> None:
    assert sorted(PAGE_IN_SCRIPTS - set(texts.PAGE)) == []


@pytest.mark.parametrize(("name", "table"), [("w", "PAGE"), ("p", "PANEL"), ("s", "SETTINGS")])
def test_every_text_that_a_template_uses_exists(name: str, table: str) -> None:
    assert sorted(keys_in_templates(name) - set(getattr(texts, table))) == []


@pytest.mark.parametrize("name", ["w", "p", "s", "h", "r", "c", "sets"])
def test_no_template_uses_a_key_that_is_also_a_method_of_a_mapping(name: str) -> None:
    assert [key for key in keys_in_templates(name) if hasattr(texts.PAGE, key)] == []


def test_every_text_of_the_page_is_used() -> None:
    assert sorted(set(texts.PAGE) - PAGE_USED) == []


def test_every_text_of_the_panel_is_used() -> None:
    by_local_name = keys_in_python("name")
    by_local_name |= set(re.findall(r'\("(temperature|top_p)", card', PYTHON))
    assert sorted(set(texts.PANEL) - PANEL_USED - by_local_name) == []


def test_every_text_of_the_settings_is_used() -> None:
    by_name = set(re.findall(r'_(?:slider|number|text_lines)\("(\w+)"', PYTHON))
    assert sorted(set(texts.SETTINGS) - SETTINGS_USED - keys_in_python("s") - by_name) == []


def test_every_text_of_the_checker_exists_and_is_used() -> None:
    used = keys_in_scripts("checkStrings") | keys_in_templates("c")
    used |= {"quick", "standard", "full", "pass", "warn", "fail", "skipped"}
    used |= keys_in_python(r"texts\.CHECK") | {"copy_failed"}
    assert used == set(texts.CHECK)


def test_every_text_of_the_sets_exists_and_is_used() -> None:
    sources = "".join((WEB / f"{name}.py").read_text() for name in ("run_views", "run_routes"))
    used = keys_in_templates("sets") | keys_in_scripts("setStrings")
    used |= set(re.findall(r'(?:SETS|\bt)\["(\w+)"\]', sources))
    by_value = {*RunState, *(f"change_{what}" for what in ChangeKind)}
    by_value |= set(re.findall(r'"(\w+)"', SCRIPTS.split("const NUMBERS = [")[1].split("]")[0]))
    assert sorted(set(texts.SETS) ^ (used | by_value)) == []


def test_every_text_of_the_receipt_is_used() -> None:
    used = keys_in_python("name") | keys_in_python(r"texts\.RECEIPT_ROWS")
    assert sorted(set(texts.RECEIPT_ROWS) - used) == []


def test_every_notice_is_used() -> None:
    assert set(texts.NOTICES) == keys_in_python(r"texts\.NOTICES")


def test_every_single_text_is_used() -> None:
    single = [name for name, value in vars(texts).items() if name.isupper() and value]
    assert [name for name in single if not re.search(rf"\btexts\.{name}\b", PYTHON)] == []


def test_every_user_error_has_a_text_and_no_text_is_unused() -> None:
    package = "".join(path.read_text() for path in (ROOT / "akash_gradio").rglob("*.py"))
    raised = set(re.findall(r'\bUserError\(\s*"(\w+)"', PYTHON))
    assert raised <= set(texts.ERRORS)
    codes = [code for code in texts.ERRORS if "." not in code]
    unused = [code for code in codes if package.count(f'"{code}"') < 2]
    assert unused == []


def test_scripts_fill_in_all_values_of_a_text() -> None:
    calls = re.findall(r"fill\((?:[\w.]*\.)?strings\.(\w+), \{([^}]*)\}\)", SCRIPTS)
    assert calls
    for key, given in calls:
        needed = {name for _, name, _, _ in Formatter().parse(texts.PAGE[key]) if name}
        assert needed <= set(re.findall(r"\w+", given)), key


def test_no_text_is_empty_or_has_double_spaces() -> None:
    def sentences(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, tuple):
            return list(value)
        return [text for item in getattr(value, "values", list)() for text in sentences(item)]

    tables = [value for name, value in vars(texts).items() if name.isupper()]
    for sentence in [text for table in tables for text in sentences(table)]:
        assert sentence.strip(), tables
        assert "  " not in sentence, sentence
