"""Entries in the guide's TypeScript form become a catalog."""

from __future__ import annotations

import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.catalog.typescript_import import TypeScriptError, as_toml, read_typescript

GUIDE = """
// In app/config/models.ts
import { Model } from './types';

export const models: Model[] = [
  // ... existing models
  {
    id: 'llama3-70b',
    name: "Llama 3 70B",
    description: 'Meta\\'s advanced large language model',
    available: true,
    temperature: 0.7,
    top_p: .9,
    tokenLimit: 32_000,
    parameters: '70B',
    aboutContent: `Llama 3 70B is "Meta's" most \\`advanced\\` model.
      It has a second line.`,
    infoContent: `
    * ⚡ Advanced reasoning
    * 🧠 Strong coding \\u{1F600} \\uD83D\\uDE00`,
    deployUrl: 'https://console.akash.network/new' + '-deployment', /* joined */
    contextWindowMultiplier: 1.5,
    apiCompatibility: 'openai-v1' as const,
    customHeaders: { 'X-Custom-Header': 'value' },
    starters: ['One?', "Two?",],
    hf_repo: null,
  },
  { id: 'second' },
] satisfies Model[];

export default models;
"""


def test_the_guides_form_becomes_a_catalog_without_problems(
    tmp_path: Path,
) -> None:
    entries, problems = read_typescript(GUIDE)
    assert problems == ()
    path = tmp_path / "models.toml"
    path.write_text(as_toml(entries), encoding="utf-8")
    catalog = read_catalog(path)
    assert catalog.problems == ()
    first, second = catalog.cards
    assert (first.id, first.name, first.token_limit) == ("llama3-70b", "Llama 3 70B", 32_000)
    assert (first.temperature, first.top_p, first.available) == (0.7, 0.9, True)
    assert first.description == "Meta's advanced large language model"
    assert first.about_content.startswith('Llama 3 70B is "Meta\'s" most `advanced` model.')
    assert first.info_content == "* ⚡ Advanced reasoning\n* 🧠 Strong coding 😀 😀"
    assert first.deploy_url == "https://console.akash.network/new-deployment"
    assert first.custom_headers == {"X-Custom-Header": "value"}
    assert first.starters == ("One?", "Two?")
    assert second.id == "second"


def test_a_single_entry_is_read_too() -> None:
    entries, problems = read_typescript("{ id: 'new-model-id', available: true, // flag\n}")
    assert (entries, problems) == (({"id": "new-model-id", "available": True},), ())


def test_values_that_are_not_literals_are_left_out_and_reported() -> None:
    text = """const models = [
      ...others,
      { id: 'a', name: makeName('a', [1, 2]), tokenLimit: 32 * 1024, icon: LlamaIcon,
        description: `Uses ${size}`, ...defaults, render() { return 1; }, temperature: 1 },
    ];"""
    entries, problems = read_typescript(text)
    assert entries == ({"id": "a", "temperature": 1},)
    lines = [str(problem) for problem in problems]
    assert any("line 2" in line for line in lines)
    for field in ("name", "tokenLimit", "description"):
        assert any(f"a, {field}: is not a literal" in line for line in lines)
    for field in ("icon", "render"):
        assert any(f"a, {field}: is not a field of the catalog" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("export const x = 1;", 0, "the file has no list of models"),
        ("", 0, "the file has no list of models"),
        ("const models = [\n{ id: 'a' ", 2, "ends within a list"),
        ("const models = [\n{ id: 'a\n' }]", 2, "string is not terminated"),
        ("const models = " + "[" * 200, 1, "nested too deeply"),
    ],
)
def test_a_malformed_file_is_reported_with_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(TypeScriptError) as raised:
        read_typescript(text)
    assert raised.value.line == line
    assert reason in raised.value.reason


@given(
    st.dictionaries(
        st.sampled_from(["id", "name", "description", "aboutContent"]),
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=60),
    )
)
def test_any_text_is_unchanged_in_toml(fields: dict[str, str]) -> None:
    single = {name: text.replace("\n", " ") for name, text in fields.items()}
    assert tomllib.loads(as_toml((single,)))["models"] == [single]
    assert tomllib.loads(as_toml((fields,)))["models"] == [fields]


@given(st.text(alphabet="models=[]{}()'\"`:,;.+-\\/* \n$a1", max_size=80))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    with suppress(TypeScriptError):
        as_toml(read_typescript(text)[0])
