from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.domain.model import ModelCard

Read = Callable[..., Catalog]

GUIDE = {
    "id": "llama3-70b",
    "name": "Llama 3 70B",
    "description": "Meta's advanced large language model with 70B parameters",
    "available": True,
    "temperature": 0.7,
    "top_p": 0.9,
    "tokenLimit": 32000,
    "parameters": "70B",
    "architecture": "Transformer",
    "hf_repo": "meta-llama/Llama-3-70b",
    "aboutContent": "Llama 3 70B is capable.",
    "infoContent": """
    * ⚡ Advanced reasoning
    * 🧠 Strong coding
      * in many languages
    """,
    "thumbnailId": "llama-3",
    "deployUrl": "https://console.akash.network/new-deployment?template=llama3-70b",
    "contextWindowMultiplier": 1.5,
    "apiCompatibility": "openai-v1",
    "customHeaders": {"X-Custom-Header": "value"},
    "reasoning": True,
    "vision": True,
    "starters": ["Hello?", "Why?"],
    "promptPrice": 0.25,
    "completionPrice": 1,
    "maxTokens": 2048,
    "seed": 0,
    "stop": ["END"],
    "presencePenalty": -0.5,
    "frequencyPenalty": 0.5,
    "reasoningEfforts": ["low", "high"],
}

GUIDE_CARD = ModelCard(
    id="llama3-70b",
    name="Llama 3 70B",
    description="Meta's advanced large language model with 70B parameters",
    available=True,
    temperature=0.7,
    top_p=0.9,
    token_limit=32000,
    parameters="70B",
    architecture="Transformer",
    hf_repo="meta-llama/Llama-3-70b",
    about_content="Llama 3 70B is capable.",
    info_content="* ⚡ Advanced reasoning\n* 🧠 Strong coding\n  * in many languages",
    thumbnail_id="llama-3",
    deploy_url="https://console.akash.network/new-deployment?template=llama3-70b",
    context_window_multiplier=1.5,
    api_compatibility="openai-v1",
    custom_headers={"X-Custom-Header": "value"},
    reasoning=True,
    vision=True,
    starters=("Hello?", "Why?"),
    prompt_price=0.25,
    completion_price=1,
    max_tokens=2048,
    seed=0,
    stop=("END",),
    presence_penalty=-0.5,
    frequency_penalty=0.5,
    reasoning_efforts=("low", "high"),
)

SNAKE = {
    "tokenLimit": "token_limit",
    "aboutContent": "about_content",
    "infoContent": "info_content",
    "thumbnailId": "thumbnail_id",
    "deployUrl": "deploy_url",
    "contextWindowMultiplier": "context_window_multiplier",
    "apiCompatibility": "api_compatibility",
    "customHeaders": "custom_headers",
    "promptPrice": "prompt_price",
    "completionPrice": "completion_price",
    "maxTokens": "max_tokens",
    "presencePenalty": "presence_penalty",
    "frequencyPenalty": "frequency_penalty",
    "reasoningEfforts": "reasoning_efforts",
}

INVALID: dict[str, tuple[Any, ...]] = {
    "id": ("", 7, "two\nlines"),
    "name": (7, "x" * 201),
    "description": (7, "x" * 1001),
    "available": ("yes", 1),
    "temperature": (9, -0.1, "0.7"),
    "top_p": (1.5, -1, True),
    "tokenLimit": ("32k", 0, 1.5, True),
    "parameters": (70,),
    "architecture": (["Transformer"],),
    "hf_repo": ("llama", "https://huggingface.co/org/name", "a/b/c", "../x"),
    "aboutContent": (7,),
    "infoContent": (["* one"],),
    "thumbnailId": (7,),
    "deployUrl": ("http://x.example", "javascript:alert(1)", "https://", "https://u:p@x.example"),
    "contextWindowMultiplier": (0, -1, "2"),
    "apiCompatibility": ("anthropic", ""),
    "customHeaders": (
        "X: y",
        {"X": 7},
        {"X Y": "z"},
        {"X": "a\r\nEvil: b"},
        {"Host": "x.example"},
        {"X": ""},
    ),
    "reasoning": ("true",),
    "vision": (1,),
    "starters": ("Hello?", [7], ["x"] * 13),
    "promptPrice": (-1, "free"),
    "completionPrice": (-0.5,),
    "maxTokens": (0, "1024", 1.5),
    "seed": ("7", 2**63),
    "stop": ("END", [""], ["a"] * 5),
    "presencePenalty": (2.5,),
    "frequencyPenalty": (-2.5, "high"),
    "reasoningEfforts": ("high", ["Very high"], [1]),
}


@pytest.mark.parametrize("shape", [lambda e: [e], lambda e: {"models": [e]}])
def test_the_guides_entry_is_read_from_json(read: Read, shape: Callable[[Any], Any]) -> None:
    assert read(shape(GUIDE)) == Catalog(cards=(GUIDE_CARD,))


def test_snake_case_spellings_mean_the_same(read: Read) -> None:
    assert read([{SNAKE.get(k, k): v for k, v in GUIDE.items()}]) == Catalog(cards=(GUIDE_CARD,))


def test_toml_is_read_from_a_file_of_any_name(read: Read) -> None:
    text = '[[models]]\nid = "a"\ntokenLimit = 8_192\n'
    for name in ("mine.toml", "mine", "mine.txt"):
        assert read(text, name).cards == (ModelCard(id="a", name="A", token_limit=8192),)


@pytest.mark.parametrize("text", ['[{"id": "a"}]', '\n{"models": [{"id": "a"}]}', "\ufeff[]"])
def test_json_is_read_from_a_file_of_any_name(read: Read, text: str) -> None:
    assert read(text, "mine.conf").problems == ()


def test_every_field_of_a_card_can_be_set() -> None:
    names = {SNAKE.get(name, name) for name in GUIDE}
    assert names == {field.name for field in fields(ModelCard)} - {"discovered"}


def test_a_missing_name_is_derived_from_the_id(read: Read) -> None:
    catalog = read([{"id": "meta-llama/Llama-3.3-70B-Instruct"}, {"id": "b", "name": "  "}])
    assert [card.name for card in catalog.cards] == ["Llama 3.3 70B Instruct", "B"]


def test_an_entry_needs_only_an_id(read: Read) -> None:
    assert read([{"id": "a", "temperature": None}]).cards == (ModelCard(id="a", name="A"),)


def test_a_temperature_may_be_zero(read: Read) -> None:
    assert read([{"id": "a", "temperature": 0}]).cards[0].temperature == 0.0


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in INVALID.items() for value in values]
)
def test_an_invalid_value_drops_its_entry_and_gives_a_hint(
    read: Read, field: str, value: Any
) -> None:
    catalog = read([{"id": "bad", field: value}, {"id": "good"}])
    (problem,) = catalog.problems
    assert [card.id for card in catalog.cards] == ["good"]
    assert problem.field == field
    assert problem.where.startswith("mine.json: ")
    assert problem.hint


def test_every_field_has_invalid_values_to_test() -> None:
    assert set(INVALID) == set(GUIDE)


def test_a_problem_names_the_entry_the_field_and_the_value(read: Read) -> None:
    (problem,) = read([{"id": "llama", "token_limit": "32k"}]).problems
    assert str(problem) == (
        "mine.json: llama, token_limit = '32k': "
        "must be the context window as a whole number of tokens, as in 32768"
    )


def test_an_entry_without_an_id_is_named_by_its_number(read: Read) -> None:
    (problem,) = read([{"id": "a"}, {"name": "Nameless"}]).problems
    assert (problem.where, problem.field, problem.value) == ("mine.json: entry 2", "id", "")


def test_all_problems_of_one_entry_are_reported(read: Read) -> None:
    catalog = read([{"id": "a", "temperature": 9, "tokenLimit": "32k", "colour": "red"}])
    assert {problem.field for problem in catalog.problems} == {
        "temperature",
        "tokenLimit",
        "colour",
    }


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("tokenlimit", "tokenLimit"),
        ("token-limit", "tokenLimit"),
        ("temprature", "temperature"),
        ("topP_", "top_p"),
        ("hfRepos", "hf_repo"),
        ("thumbnail", "thumbnailId"),
    ],
)
def test_an_unknown_field_gets_a_suggestion(read: Read, key: str, meant: str) -> None:
    (problem,) = read([{"id": "a", key: 1}]).problems
    assert problem.field == key
    assert f"did you mean {meant}?" in problem.hint


def test_an_unknown_field_without_a_similar_one_gets_the_list(read: Read) -> None:
    (problem,) = read([{"id": "a", "zzz": 1}]).problems
    assert "the fields are id, name," in problem.hint


def test_a_field_in_both_spellings_is_a_problem(read: Read) -> None:
    (problem,) = read([{"id": "a", "tokenLimit": 1, "token_limit": 2}]).problems
    assert problem.field == "token_limit"
    assert "tokenLimit" in problem.hint


def test_the_first_of_two_entries_with_the_same_id_is_used(read: Read) -> None:
    catalog = read([{"id": "a", "name": "First"}, {"id": "b"}, {"id": "A", "name": "Second"}])
    assert [card.name for card in catalog.cards] == ["First", "B"]
    assert catalog.problems[0].where == "mine.json: entry 3"
    assert catalog.problems[0].value == "A"


@pytest.mark.parametrize("entry", ["text", 7, None, [1]])
def test_an_entry_that_is_not_a_table_is_a_problem(read: Read, entry: Any) -> None:
    catalog = read([entry, {"id": "a"}])
    assert [card.id for card in catalog.cards] == ["a"]
    assert catalog.problems[0].where == "mine.json: entry 1"


def test_a_header_can_come_from_the_environment(read: Read) -> None:
    entries = [{"id": "a", "customHeaders": {"X-Key": "$MY_KEY", "X-B": "${B}", "X-C": "a$b"}}]
    card = read(entries, MY_KEY="s3cret\n", B="b").cards[0]
    assert dict(card.custom_headers) == {"X-Key": "s3cret", "X-B": "b", "X-C": "a$b"}


def test_a_header_from_an_unset_variable_names_the_variable(read: Read) -> None:
    catalog = read([{"id": "a", "customHeaders": {"X-Key": "$MY_KEY"}}])
    assert catalog.cards == ()
    assert str(catalog.problems[0]) == (
        "mine.json: a, customHeaders = $MY_KEY: set the variable MY_KEY"
    )


@pytest.mark.parametrize(
    "entry",
    [
        {"customHeaders": {"X-Key": "hunter2"}},
        {"customHeaders": {"X-Key": "hunter2\r\nA: b"}},
        {"customHeaders": {"X Y": "hunter2"}},
        {"customHeaders": {"X": "$KEY"}},
        {"customHeaders": ["hunter2"]},
        {"customHeaders": {"X": "hunter2"}, "temperature": 9},
        {"apiKey": "hunter2"},
        {"deployUrl": "https://user:hunter2@x.example"},
    ],
)
def test_a_secret_is_never_in_a_problem_or_a_repr(read: Read, entry: dict[str, Any]) -> None:
    catalog = read([{"id": "a", **entry}], KEY="hunter2\x00")
    assert "hunter2" not in repr(catalog)


def test_a_card_cannot_be_changed_through_its_headers(read: Read) -> None:
    card = read([{"id": "a", "customHeaders": {"X": "y"}}]).cards[0]
    with pytest.raises(TypeError):
        card.custom_headers["X"] = "z"  # type: ignore[index]


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("mine.toml", '[[models]]\nid = "a"\nname = oops\n', "line 3, column 8"),
        ("mine.toml", '[[models]]\nid = "a', "end of document"),
        ("mine.json", '[{"id": "a"},\n {"id": }]', "line 2, column 9"),
        ("mine.json", "[" * 100_000, ""),
    ],
)
def test_a_malformed_file_names_the_line_and_the_shipped_catalog_is_used(
    read: Read, name: str, text: str, place: str
) -> None:
    catalog = read(text, name)
    assert catalog.cards == read_catalog(None).cards
    assert (catalog.problems[0].where, catalog.problems[0].field) == (name, place)
    assert "the shipped catalog is used" in catalog.problems[0].hint


@pytest.mark.parametrize("content", [{}, {"models": {}}, "7", '"text"'])
def test_a_file_without_a_list_of_models_is_a_problem(read: Read, content: Any) -> None:
    catalog = read(content)
    assert catalog.problems[0].field == "models"
    assert catalog.cards == read_catalog(None).cards


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        catalog = read_catalog(path, {})
        assert catalog.cards == read_catalog(None).cards
        assert "check its path" in catalog.problems[0].hint


def test_a_binary_file_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_bytes(b"\xff\xfe[\x00[\x00")
    assert "UTF-8" in read_catalog(tmp_path / "mine.toml").problems[0].hint


def test_an_empty_list_is_an_empty_catalog(read: Read) -> None:
    assert read([]) == Catalog()


def test_get_is_case_sensitive_as_the_gateway(read: Read) -> None:
    catalog = read([{"id": "Org/Model-A"}])
    assert catalog.get("Org/Model-A") is catalog.cards[0]
    assert catalog.get("org/model-a") is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(
        json_values
        | st.dictionaries(st.sampled_from([*GUIDE, *SNAKE.values()]), json_values, max_size=6),
        max_size=4,
    )
)
def test_no_content_makes_reading_fail_and_every_entry_is_read_or_reported(
    read: Read, content: list[Any]
) -> None:
    catalog = read(content)
    assert len(catalog.cards) + len({problem.where for problem in catalog.problems}) <= len(content)
    assert bool(catalog.problems) or len(catalog.cards) == len(content)
