from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.csv_reader import read_csv
from akash_gradio.compare.prompt_set import MOST_PROMPTS, Prompt, PromptSetError
from akash_gradio.compare.prompt_set_reader import (
    MOST_BYTES,
    SetFormat,
    format_from_name,
    parse_prompt_set,
)

LINES, CSV, JSONL, TOML = SetFormat.LINES, SetFormat.CSV, SetFormat.JSONL, SetFormat.TOML


def refused(written: bytes | str, form: SetFormat) -> list[str]:
    with pytest.raises(PromptSetError) as told:
        parse_prompt_set(written, form)
    return [str(mistake) for mistake in told.value.problems]


def texts(written: bytes | str, form: SetFormat) -> list[str]:
    return [prompt.text for prompt in parse_prompt_set(written, form)]


FULL = Prompt(
    id="capital",
    text="What is the\ncapital?",
    system="Be brief.",
    checks=(
        Check(kind=CheckKind.CONTAINS, value="Paris"),
        Check(kind=CheckKind.REGEX, value="^P"),
        Check(kind=CheckKind.JSON),
        Check(kind=CheckKind.MAX_LENGTH, value="20"),
        Check(kind=CheckKind.NOT_EMPTY),
    ),
)


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (
            CSV,
            "id,prompt,system,contains,regex,json,max_length,not_empty\r\n"
            'capital,"What is the\ncapital?",Be brief.,Paris,^P,yes, 20 ,x\r\n',
        ),
        (
            CSV,
            "\ufeffID;Question;System;Contains;Regex;JSON;max_length;not_empty\n"
            'capital;"What is the\ncapital?";Be brief.;Paris;^P;TRUE;20;1',
        ),
        (
            JSONL,
            '{"id": "capital", "prompt": "What is the\\ncapital?", "system": "Be brief.",'
            ' "contains": "Paris", "regex": ["^P"], "json": true, "max_length": 20,'
            ' "not_empty": true}\n\n',
        ),
        (
            TOML,
            '[[prompts]]\nid = "capital"\ntext = """What is the\ncapital?"""\nsystem = "Be brief."'
            '\ncontains = ["Paris"]\nregex = "^P"\njson = true\nmax_length = 20\nnot_empty = true',
        ),
    ],
)
def test_the_same_prompt_is_read_from_every_form(form: SetFormat, written: str) -> None:
    assert parse_prompt_set(written, form) == (FULL,)
    assert parse_prompt_set(written.encode("utf-8"), form) == (FULL,)


def test_pasted_lines_are_prompts_with_their_numbers() -> None:
    read = parse_prompt_set("  one \n\ntwo, and =more\n", LINES)
    assert [(prompt.id, prompt.text) for prompt in read] == [("1", "one"), ("3", "two, and =more")]


def test_pasted_prompts_of_several_lines_are_parted_by_three_dashes() -> None:
    read = parse_prompt_set("one\nmore\n---\n\ntwo\n --- \nthree", LINES)
    assert [(prompt.id, prompt.text) for prompt in read] == [
        ("1", "one\nmore"),
        ("4", "two"),
        ("7", "three"),
    ]


def test_one_column_needs_no_name_and_empty_rows_are_passed_over() -> None:
    read = parse_prompt_set('one\n"two, more"\n\n"say ""three"""\n', CSV)
    assert [prompt.text for prompt in read] == ["one", "two, more", 'say "three"']
    assert [prompt.id for prompt in read] == ["1", "2", "4"]


def test_several_texts_are_several_checks() -> None:
    (prompt,) = parse_prompt_set('{"prompt": "x", "contains": ["a", "b", ""]}', JSONL)
    assert [check.value for check in prompt.checks] == ["a", "b"]


def test_what_a_spreadsheet_saves_as_unicode_is_read() -> None:
    assert texts("prompt\tid\nГде?\t7\n".encode("utf-16"), CSV) == ["Где?"]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", CSV), ("a.TSV", CSV), ("b.jsonl", JSONL), ("c.ndjson", JSONL), ("d.toml", TOML),
     ("e.txt", LINES), ("", LINES)],
)  # fmt: skip
def test_the_ending_tells_the_form(name: str, form: SetFormat) -> None:
    assert format_from_name(name) is form


@pytest.mark.parametrize(
    ("form", "written", "says"),
    [
        (CSV, 'prompt,id\nx,1\n"y,2\n', "row 3, column 1: a quote is never closed"),
        (CSV, 'prompt,id\nx,1\ny,2"3\n', "row 3, column 2: a quote stands inside a cell"),
        (CSV, 'prompt,id\n"x"y,1\n', "row 2, column 1: 'y' follows a closing quote"),
        (CSV, "prompt,id\nx,1\ny,2,3\n", "row 3, column 3: this row has 3 cells, the first row 2"),
        (CSV, "prompt,id\nx\n", "row 2, column 2: this row has 1 cells, the first row 2"),
        (CSV, "prompt,model\nx,1\n", "row 1, column 2: 'model' is no column"),
        (CSV, "prompt,id,id\nx,1,2\n", "row 1, column 2 (id): this name stands twice"),
        (CSV, "what,who\nx,1\n", "row 1: name the columns in the first row"),
        (CSV, "prompt,regex\nx,(\n", "row 2, column 2 (regex): missing )"),
        (CSV, "prompt,json\nx,maybe\n", "row 2, column 2 (json): write yes"),
        (CSV, "id,prompt\n1,\n", "row 2, column 2 (prompt): the prompt is empty"),
        (CSV, f"prompt\n{'x' * 200_001}\n", "row 2, column 1 (prompt): it has more than"),
        (CSV, b"prompt\nx\n\xff\xfe\n", "row 3: this is no UTF-8"),
        (CSV, "prompt,id\nx,1\ny,1\n", "column id: '1' stands 2 times"),
        (JSONL, '{"prompt": "x"}\n{"prompt": \n', "row 2, column 12: this is no JSON"),
        (JSONL, '{"prompt": "x", "model": 1}', "row 1, column model: no such field"),
        (JSONL, "[1]", 'row 1: write {"prompt": "…"}'),
        (JSONL, '{"prompt": 1.5}', "row 1, column prompt: write a text"),
        (JSONL, '{"prompt": "x", "contains": [{}]}', "row 1, column contains: write a text"),
        (JSONL, '{"prompt": "x", "max_length": 1.5}', "row 1, column max_length: write a text"),
        (TOML, "[[prompts]\n", "this is no TOML: "),
        (TOML, "[[prompt]]\ntext = 'x'", "write each prompt under [[prompts]]"),
        (TOML, "[[prompts]]\ntext = ''", "row 1, column text: the prompt is empty"),
        (LINES, "\n \n", "there is no prompt in it"),
        (CSV, "", "there is no prompt in it"),
        (LINES, "x\n" * (MOST_PROMPTS + 1), "a set has at most 10000 prompts"),
        (LINES, "x" * (MOST_BYTES + 1), "a set has at most 64 MB"),
    ],
)
def test_a_mistake_is_told_with_its_row_and_column(
    form: SetFormat, written: bytes | str, says: str
) -> None:
    assert refused(written, form)[0].startswith(says)


def test_mistakes_are_told_together_up_to_ten() -> None:
    told = refused("prompt,regex\n" + "x,(\n" * 30, CSV)
    assert [each.partition(",")[0] for each in told] == [f"row {n}" for n in range(2, 12)]


def test_a_row_of_100_kb_and_10_000_rows_are_read() -> None:
    rows = [["prompt", "contains"], *([f"q {n}", "x"] for n in range(9_999)), ["y" * 100_000, ""]]
    into = io.StringIO()
    csv.writer(into).writerows(rows)
    read = parse_prompt_set(into.getvalue().encode(), CSV)
    assert (len(read), len(read[-1].text)) == (10_000, 100_000)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2)))
def test_what_pythons_own_writer_writes_is_read_back(rows: list[list[str]]) -> None:
    into = io.StringIO()
    csv.writer(into, quoting=csv.QUOTE_ALL).writerows([["prompt", "id"], *rows])
    assert list(read_csv(into.getvalue())) == [["prompt", "id"], *rows]


@given(st.text(), st.sampled_from(SetFormat))
def test_any_text_is_read_or_refused(text: str, form: SetFormat) -> None:
    try:
        told: tuple[object, ...] = parse_prompt_set(text, form)
    except PromptSetError as refusal:
        told = refusal.problems
    assert told
