"""The sentences and the places that use them fit together: none missing, none left over."""

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
MARKS = "\n".join(re.findall(r"\{[{%].*?[%}]\}", TEMPLATES, re.DOTALL))


def in_templates(letter: str) -> set[str]:
    return set(re.findall(rf"(?<![\w.]){letter}\.(\w+)", MARKS))


def in_python(*names: str) -> set[str]:
    """What stands in brackets behind the name: `texts.PANEL["own"]`, `name["own"]`."""
    found = set()
    for name in names:
        found |= set(re.findall(rf'\b{name}\["(\w+)"\]', PYTHON))
    return found


IN_SCRIPTS = set(re.findall(r"\bwords\.(\w+)", SCRIPTS)) - {"js"}
PAGE_USED = in_templates("w") | IN_SCRIPTS | in_python(r"texts\.PAGE")
PANEL_USED = in_templates("p") | in_python(r"texts\.PANEL")
SETTINGS_USED = in_templates("s") | in_python(r"texts\.SETTINGS")


def test_every_word_that_a_script_asks_for_exists():
    assert sorted(IN_SCRIPTS - set(texts.PAGE)) == []


@pytest.mark.parametrize(("letter", "table"), [("w", "PAGE"), ("p", "PANEL"), ("s", "SETTINGS")])
def test_every_word_that_a_template_asks_for_exists(letter: str, table: str):
    assert sorted(in_templates(letter) - set(getattr(texts, table))) == []


@pytest.mark.parametrize("letter", ["w", "p", "s", "h", "r", "c", "sets"])
def test_no_template_asks_for_a_word_that_every_table_has_as_a_method(letter: str):
    assert [word for word in in_templates(letter) if hasattr(texts.PAGE, word)] == []


def test_every_word_of_the_page_is_used():
    assert sorted(set(texts.PAGE) - PAGE_USED) == []


def test_every_word_of_the_panel_is_used():
    by_local_name = in_python("name") | set(re.findall(r'\("(temperature|top_p)", card', PYTHON))
    assert sorted(set(texts.PANEL) - PANEL_USED - by_local_name) == []


def test_every_word_of_the_settings_is_used():
    by_name = set(re.findall(r'_(?:slider|whole|lines)\("(\w+)"', PYTHON))
    assert sorted(set(texts.SETTINGS) - SETTINGS_USED - in_python("s") - by_name) == []


def test_every_word_of_the_checker_is_used_and_there():
    script = (ROOT / "assets" / "js" / "check.js").read_text()
    used = set(re.findall(r"\bterms\.(\w+)", script)) | in_templates("c")
    used |= {"quick", "standard", "full", "pass", "warn", "fail", "skipped"}
    used |= in_python(r"texts\.CHECK") | {"copy_failed"}
    assert used == set(texts.CHECK)


def test_every_word_of_the_sets_is_used_and_there():
    scripts = set(re.findall(r"\bsays\.(\w+)", SCRIPTS))
    ours = "".join((WEB / f"{name}.py").read_text() for name in ("set_views", "set_routes"))
    used = in_templates("sets") | scripts | set(re.findall(r'(?:SETS|\bt)\["(\w+)"\]', ours))
    by_value = {*RunState, *(f"change_{what}" for what in ChangeKind)}
    by_value |= set(re.findall(r'"(\w+)"', SCRIPTS.split("const NUMBERS = [")[1].split("]")[0]))
    assert sorted(set(texts.SETS) ^ (used | by_value)) == []


def test_every_word_of_the_receipt_is_used():
    used = in_python("name") | in_python(r"texts\.RECEIPT_ROWS")
    assert sorted(set(texts.RECEIPT_ROWS) - used) == []


def test_every_notice_is_used():
    assert set(texts.NOTICES) == in_python(r"texts\.NOTICES")


def test_every_single_sentence_is_used():
    single = [name for name, value in vars(texts).items() if name.isupper() and value]
    assert [name for name in single if not re.search(rf"\btexts\.{name}\b", PYTHON)] == []


def test_every_fault_of_a_request_has_words_and_no_more():
    every = "".join(path.read_text() for path in (ROOT / "akash_gradio").rglob("*.py"))
    raised = set(re.findall(r'\bUserError\(\s*"(\w+)"', PYTHON))
    assert raised <= set(texts.USER_ERRORS)
    unused = [code for code in texts.USER_ERRORS if every.count(f'"{code}"') < 2]
    assert [code for code in unused if not code.startswith("check_")] == []


def test_the_facts_that_a_script_fills_in_are_those_of_the_sentence():
    filled = re.findall(r"fill\((?:[\w.]*\.)?words\.(\w+), \{([^}]*)\}\)", SCRIPTS)
    assert filled
    for key, given in filled:
        wanted = {name for _, name, _, _ in Formatter().parse(texts.PAGE[key]) if name}
        assert wanted <= set(re.findall(r"\w+", given)), key


def test_no_sentence_is_empty_or_has_loose_blanks():
    def sentences(value: object) -> list[str]:
        if isinstance(value, str):
            return [value]
        if isinstance(value, tuple):
            return list(value)
        return [each for one in getattr(value, "values", list)() for each in sentences(one)]

    tables = [value for name, value in vars(texts).items() if name.isupper()]
    for sentence in [each for table in tables for each in sentences(table)]:
        assert sentence.strip(), tables
        assert "  " not in sentence, sentence
