from __future__ import annotations

import json
from typing import Any

import pytest

from akash_gradio.config.api_keys import read_keys


def read(keys: object, **environment: str) -> tuple[list[Any], str]:
    text = keys if isinstance(keys, str) else json.dumps(keys)
    found, problems = read_keys(text, environment)
    return list(found), "\n".join(map(str, problems))


def test_a_comma_list_gives_each_key_a_name() -> None:
    found, told = read(" secret-a, secret-b ,")
    assert [(key.name, key.key.get_secret_value()) for key in found] == [
        ("key-1", "secret-a"),
        ("key-2", "secret-b"),
    ]
    assert not told
    assert "secret" not in repr(found)


def test_json_gives_names_models_and_limits() -> None:
    entry = {"name": "ann", "key": "$ANN", "models": ["m"], "limits": {"requestsPerMinute": 5}}
    found, told = read([entry, "secret-b"], ANN="secret-a ")
    assert not told
    assert (found[0].name, found[0].models, found[1].name) == ("ann", ("m",), "key-2")
    assert found[0].key.get_secret_value() == "secret-a"
    assert found[0].limits.requests_per_minute == 5
    assert found[1].limits.requests_per_minute is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ({"key": "secret word"}, "[1], key: write it in ASCII"),
        ({"key": ""}, "[1], key"),
        ({"key": 5}, "[1], key: write a text"),
        ({"name": "ann"}, "[1], key: it is required"),
        ({"key": "$NONE"}, "set the variable NONE"),
        ({"key": "secret", "models": []}, "[1], models: name at least one"),
        ({"key": "secret", "models": "m"}, "[1], models"),
        ({"key": "secret", "limits": 5}, "[1], limits"),
        ({"key": "secret", "limits": {"requestsPerMinute": 0}}, "requestsPerMinute"),
        ({"key": "secret", "limits": {"perMinute": 1}}, "known are requestsPerMinute"),
        ({"key": "secret", "nmae": "ann"}, "known are name, key, models, limits"),
        (5, "[1]"),
    ],
)
def test_a_wrong_entry_is_told_and_the_others_stay(entry: object, says: str) -> None:
    found, told = read([entry, {"name": "ok", "key": "right-key"}])
    assert [key.name for key in found] == ["ok"]
    assert says in told
    assert "secret" not in told


@pytest.mark.parametrize(("text", "says"), [("[{", "not JSON"), ("{}", "into a list")])
def test_a_text_that_is_no_list_is_told(text: str, says: str) -> None:
    found, told = read(text)
    assert (found, says in told) == ([], True)


def test_a_name_and_a_key_stand_only_once() -> None:
    again = [{"name": "a", "key": "k1"}, {"name": "b", "key": "k1"}, {"name": "a", "key": "k2"}]
    found, told = read(again)
    assert [key.name for key in found] == ["a"]
    assert "twice" in told
    assert "taken" in told
