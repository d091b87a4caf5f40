from __future__ import annotations

import json
from typing import Any

import pytest

from akash_gradio.config.api_keys import read_keys


def read(keys: object, **environment: str) -> tuple[list[Any], str]:
    text = keys if isinstance(keys, str) else json.dumps(keys)
    keys_read, problems = read_keys(text, environment)
    return list(keys_read), "\n".join(map(str, problems))


def test_the_keys_of_a_comma_separated_list_are_numbered() -> None:
    keys, problems = read(" secret-a, secret-b ,")
    assert [(key.name, key.key.get_secret_value()) for key in keys] == [
        ("key-1", "secret-a"),
        ("key-2", "secret-b"),
    ]
    assert not problems
    assert "secret" not in repr(keys)


def test_json_gives_names_models_and_limits() -> None:
    entry = {"name": "ann", "key": "$ANN", "models": ["m"], "limits": {
        "requestsPerMinute": 5, "tokensPerDay": 1000, "costPerDay": 2,
    }}  # fmt: skip
    keys, problems = read([entry, "secret-b"], ANN="secret-a ")
    assert not problems
    assert (keys[0].name, keys[0].models, keys[1].name) == ("ann", ("m",), "key-2")
    assert keys[0].key.get_secret_value() == "secret-a"
    assert keys[0].limits.requests_per_minute == 5
    assert (keys[0].limits.tokens_per_day, keys[0].limits.cost_per_day) == (1000, 2.0)
    assert keys[0].limits.has_budget
    assert keys[1].limits.requests_per_minute is None
    assert not keys[1].limits.has_budget


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ({"key": "secret word"}, "[1], key: must consist of ASCII"),
        ({"key": ""}, "[1], key"),
        ({"key": 5}, "[1], key: must be a string"),
        ({"name": "ann"}, "[1], key: is required"),
        ({"key": "$NONE"}, "set the variable NONE"),
        ({"key": "secret", "models": []}, "[1], models: must name at least one"),
        ({"key": "secret", "models": "m"}, "[1], models"),
        ({"key": "secret", "limits": 5}, "[1], limits"),
        ({"key": "secret", "limits": {"requestsPerMinute": 0}}, "requestsPerMinute"),
        (
            {"key": "secret", "limits": {"perMinute": 1}},
            "the fields are requestsPerMinute, tokensPerDay, costPerDay",
        ),
        ({"key": "secret", "limits": {"tokensPerDay": 1.5}}, "tokensPerDay"),
        ({"key": "secret", "limits": {"costPerDay": 0}}, "costPerDay"),
        ({"key": "secret", "nmae": "ann"}, "the fields are name, key, models, limits"),
        (5, "[1]"),
    ],
)
def test_an_invalid_entry_does_not_affect_the_others(entry: object, problem: str) -> None:
    keys, problems = read([entry, {"name": "ok", "key": "right-key"}])
    assert [key.name for key in keys] == ["ok"]
    assert problem in problems
    assert "secret" not in problems


@pytest.mark.parametrize(("text", "problem"), [("[{", "must be JSON"), ("{}", "must be a list")])
def test_a_value_that_is_no_list_is_a_problem(text: str, problem: str) -> None:
    keys, problems = read(text)
    assert (keys, problem in problems) == ([], True)


def test_names_and_keys_must_be_unique() -> None:
    entries = [{"name": "a", "key": "k1"}, {"name": "b", "key": "k1"}, {"name": "a", "key": "k2"}]
    keys, problems = read(entries)
    assert [key.name for key in keys] == ["a"]
    assert "another entry has this key" in problems
    assert "another entry has this name" in problems
