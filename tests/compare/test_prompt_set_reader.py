from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.csv_reader import read_csv
from akash_gradio.compare.prompt_set import MAX_PROMPTS, Prompt, PromptSetError
from akash_gradio.compare.prompt_set_reader import (
    MAX_SET_BYTES,
    SetFormat,
    format_from_name,
    parse_prompt_set,
)

LINES, CSV, JSONL, TOML = SetFormat.LINES, SetFormat.CSV, SetFormat.JSONL, SetFormat.TOML


def problems(content: bytes | str, form: SetFormat) -> list[str]:
    with pytest.raises(PromptSetError) as caught:
        parse_prompt_set(content, form)
    return [str(problem) for problem in caught.value.problems]


def texts(content: bytes | str, form: SetFormat) -> list[str]:
    return [prompt.text for prompt in parse_prompt_set(content, form)]


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
    ("form", "content"),
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
def test_every_format_gives_the_same_prompt(form: SetFormat, content: str) -> None:
    assert parse_prompt_set(content, form) == (FULL,)
    assert parse_prompt_set(content.encode("utf-8"), form) == (FULL,)


def test_each_line_is_a_prompt_with_its_number() -> None:
    prompts = parse_prompt_set("  one \n\ntwo, and =more\n", LINES)
    assert [(prompt.id, prompt.text) for prompt in prompts] == [
        ("1", "one"),
        ("3", "two, and =more"),
    ]


def test_prompts_of_several_lines_are_separated_by_three_dashes() -> None:
    prompts = parse_prompt_set("one\nmore\n---\n\ntwo\n --- \nthree", LINES)
    assert [(prompt.id, prompt.text) for prompt in prompts] == [
        ("1", "one\nmore"),
        ("4", "two"),
        ("7", "three"),
    ]


def test_a_single_column_needs_no_name_and_empty_rows_are_skipped() -> None:
    prompts = parse_prompt_set('one\n"two, more"\n\n"say ""three"""\n', CSV)
    assert [prompt.text for prompt in prompts] == ["one", "two, more", 'say "three"']
    assert [prompt.id for prompt in prompts] == ["1", "2", "4"]


def test_several_texts_are_several_checks() -> None:
    (prompt,) = parse_prompt_set('{"prompt": "x", "contains": ["a", "b", ""]}', JSONL)
    assert [check.value for check in prompt.checks] == ["a", "b"]


def test_utf_16_from_a_spreadsheet_is_read() -> None:
    assert texts("prompt\tid\nГде?\t7\n".encode("utf-16"), CSV) == ["Где?"]


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", CSV), ("a.TSV", CSV), ("b.jsonl", JSONL), ("c.ndjson", JSONL), ("d.toml", TOML),
     ("e.txt", LINES), ("", LINES)],
)  # fmt: skip
def test_the_extension_selects_the_format(name: str, form: SetFormat) -> None:
    assert format_from_name(name) is form


@pytest.mark.parametrize(
    ("form", "content", "problem"),
    [
        (CSV, 'prompt,id\nx,1\n"y,2\n', "row 3, column 1: a quote is not closed"),
        (CSV, 'prompt,id\nx,1\ny,2"3\n', "row 3, column 2: a quote inside a cell"),
        (CSV, 'prompt,id\n"x"y,1\n', "row 2, column 1: 'y' after a closing quote"),
        (CSV, "prompt,id\nx,1\ny,2,3\n", "row 3, column 3: this row has 3 cells, the first row 2"),
        (CSV, "prompt,id\nx\n", "row 2, column 2: this row has 1 cells, the first row 2"),
        (CSV, "prompt,model\nx,1\n", "row 1, column 2: unknown column 'model'"),
        (CSV, "prompt,id,id\nx,1,2\n", "row 1, column 2 (id): duplicate column name"),
        (CSV, "what,who\nx,1\n", "row 1: name the columns in the first row"),
        (CSV, "prompt,regex\nx,(\n", "row 2, column 2 (regex): missing )"),
        (CSV, "prompt,json\nx,maybe\n", "row 2, column 2 (json): enter yes"),
        (CSV, "id,prompt\n1,\n", "row 2, column 2 (prompt): the prompt is empty"),
        (CSV, f"prompt\n{'x' * 200_001}\n", "row 2, column 1 (prompt): longer than"),
        (CSV, b"prompt\nx\n\xff\xfe\n", "row 3: not UTF-8"),
        (CSV, "prompt,id\nx,1\ny,1\n", "column id: '1' is used 2 times"),
        (JSONL, '{"prompt": "x"}\n{"prompt": \n', "row 2, column 12: not valid JSON"),
        (JSONL, '{"prompt": "x", "model": 1}', "row 1, column model: unknown field"),
        (JSONL, "[1]", 'row 1: write {"prompt": "…"}'),
        (JSONL, '{"prompt": 1.5}', "row 1, column prompt: enter a text"),
        (JSONL, '{"prompt": "x", "contains": [{}]}', "row 1, column contains: enter a text"),
        (JSONL, '{"prompt": "x", "max_length": 1.5}', "row 1, column max_length: enter a text"),
        (TOML, "[[prompts]\n", "not valid TOML: "),
        (TOML, "[[prompt]]\ntext = 'x'", "put each prompt under [[prompts]]"),
        (TOML, "[[prompts]]\ntext = ''", "row 1, column text: the prompt is empty"),
        (LINES, "\n \n", "there are no prompts"),
        (CSV, "", "there are no prompts"),
        (LINES, "x\n" * (MAX_PROMPTS + 1), "a prompt set can have at most 10000 prompts"),
        (LINES, "x" * (MAX_SET_BYTES + 1), "a prompt set can have at most 64 MB"),
    ],
)
def test_a_problem_has_its_row_and_column(
    form: SetFormat, content: bytes | str, problem: str
) -> None:
    assert problems(content, form)[0].startswith(problem)


def test_up_to_ten_problems_are_reported_together() -> None:
    result = problems("prompt,regex\n" + "x,(\n" * 30, CSV)
    assert [problem.partition(",")[0] for problem in result] == [f"row {n}" for n in range(2, 12)]


def test_a_row_of_100_kb_and_10_000_rows_are_read() -> None:
    rows = [["prompt", "contains"], *([f"q {n}", "x"] for n in range(9_999)), ["y" * 100_000, ""]]
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    prompts = parse_prompt_set(buffer.getvalue().encode(), CSV)
    assert (len(prompts), len(prompts[-1].text)) == (10_000, 100_000)


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2)))
def test_the_output_of_pythons_csv_writer_is_read_back(rows: list[list[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerows([["prompt", "id"], *rows])
    assert list(read_csv(buffer.getvalue())) == [["prompt", "id"], *rows]


@given(st.text(), st.sampled_from(SetFormat))
def test_any_text_is_parsed_or_rejected(text: str, form: SetFormat) -> None:
    try:
        result: tuple[object, ...] = parse_prompt_set(text, form)
    except PromptSetError as error:
        result = error.problems
    assert result
