from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from akash_gradio.config.endpoints import (
    EMBEDDED_ALIAS,
    EndpointSettings,
    base_url,
    read_endpoints,
    read_short_form,
)


def read(text: str, **environment: str) -> tuple[tuple[EndpointSettings, ...], list[str]]:
    found, problems = read_endpoints(text, environment)
    return found, [str(problem) for problem in problems]


def one(environment: Mapping[str, str] | None = None, **fields: Any) -> EndpointSettings:
    found, problems = read(json.dumps([{"url": "https://h", **fields}]), **(environment or {}))
    assert problems == []
    return found[0]


def mistake(**fields: Any) -> str:
    found, problems = read(json.dumps([{"url": "https://h", **fields}]))
    assert found == ()
    (problem,) = problems
    return problem


def test_the_guides_line_is_read() -> None:
    found, problems = read(
        '[{"url":"https://your-model-endpoint.com","apiKey":"your-api-key","weight":1,'
        '"models":["new-model-id"]}]'
    )
    assert problems == []
    (endpoint,) = found
    assert endpoint.url == "https://your-model-endpoint.com/v1"
    assert endpoint.api_key == SecretStr("your-api-key")
    assert (endpoint.weight, endpoint.models) == (1, ("new-model-id",))


def test_what_is_left_out_has_its_default() -> None:
    assert one() == EndpointSettings(
        url="https://h/v1",
        api_key=None,
        weight=1,
        priority=1,
        models=None,
        name="endpoint-1",
        max_concurrency=None,
        custom_headers={},
        model_map={},
    )


def test_every_field_is_read() -> None:
    endpoint = one(
        weight=0,
        priority=2,
        name="akash-eu-1",
        maxConcurrency=4,
        customHeaders={"X-Org": " o "},
        modelMap={"a": "org/a"},
        models=["a"],
    )
    assert (endpoint.weight, endpoint.priority, endpoint.max_concurrency) == (0, 2, 4)
    assert endpoint.custom_headers["X-Org"].get_secret_value() == "o"
    assert endpoint.model_map == {"a": "org/a"}


def test_snake_case_names_are_read_too() -> None:
    endpoint = one({"K": "k"}, api_key="$K", custom_headers={"X": "$K"}, max_concurrency=2)
    assert endpoint.api_key == SecretStr("k")
    assert endpoint.custom_headers == {"X": SecretStr("k")}


def test_endpoints_are_named_by_their_place() -> None:
    found, _ = read('[{"url":"https://a"},{"url":"https://b","name":"b"},{"url":"https://c"}]')
    assert [endpoint.name for endpoint in found] == ["endpoint-1", "b", "endpoint-3"]


def test_one_mistake_loses_one_entry() -> None:
    found, problems = read('[{"url":"https://a"},{"url":"b"},{"url":"https://c"}]')
    assert [endpoint.url for endpoint in found] == ["https://a/v1", "https://c/v1"]
    assert problems == ["ENDPOINTS[2], url: start it with https:// or http://"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://h", "ENDPOINTS: it is not JSON (line 1, column 1); write [{"),
        ("[\n{'url': 1}]", "ENDPOINTS: it is not JSON (line 2, column 2); write [{"),
        ("[" * 100_000, "ENDPOINTS: it is not JSON"),
        ('{"url":"https://h"}', "ENDPOINTS = an object: put the entries into a list: [{…}]"),
        ('"https://h"', "ENDPOINTS: it is not JSON"),
        ('"\\"https://h\\""', "ENDPOINTS: it is not JSON"),
        ("7", "ENDPOINTS = a number: put the entries into a list"),
        ("null", "ENDPOINTS = null: put the entries into a list"),
        ("[]", "ENDPOINTS = []: the list is empty; add an entry, or unset the variable"),
        ('["https://h"]', 'ENDPOINTS[1] = a text: write {"url": "https://host/v1"}'),
        ("[[]]", 'ENDPOINTS[1] = a list: write {"url": "https://host/v1"}'),
        ("[null]", 'ENDPOINTS[1] = null: write {"url": "https://host/v1"}'),
        ("[{}]", "ENDPOINTS[1], url: it is required"),
    ],
)
def test_a_list_of_another_shape_is_told(text: str, problem: str) -> None:
    found, problems = read(text)
    assert found == ()
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"apikey": "k"}, "apikey: there is no such field; did you mean apiKey?"),
        ({"key": "k"}, "key: there is no such field; did you mean apiKey?"),
        ({"baseURL": "k"}, "baseURL: there is no such field; did you mean url?"),
        ({"wieght": 1}, "wieght: there is no such field; did you mean weight?"),
        ({"model": "m"}, "model: there is no such field; did you mean models?"),
        ({"headers": {}}, "headers: there is no such field; did you mean customHeaders?"),
        ({"max-concurrency": 1}, "max-concurrency: there is no such field; did you mean maxCon"),
        ({"qqq": 1}, "qqq: there is no such field; known are url, apiKey, weight, priority, mod"),
        ({"weight": -1}, "weight = -1: write a whole number from 0 to 1000000"),
        ({"weight": 1.5}, "weight = 1.5: write a whole number from 0 to 1000000"),
        ({"weight": "2"}, "weight = '2': write a whole number from 0 to 1000000"),
        ({"weight": True}, "weight = true: write a whole number from 0 to 1000000"),
        ({"weight": None}, "weight = null: write a whole number from 0 to 1000000"),
        ({"weight": 10**30}, "weight = a long number: write a whole number from 0 to"),
        ({"priority": -1}, "priority = -1: write a whole number of 0 or more"),
        ({"maxConcurrency": 0}, "maxConcurrency = 0: write a whole number of 1 or more"),
        ({"models": []}, "models = a list: name at least one model id, or leave the field out"),
        ({"models": [" "]}, "models = a list: name at least one model id, or leave the field"),
        ({"models": "m"}, "models = 'm': write a list of texts: [\"text\"]"),
        ({"models": [1]}, 'models = 1: write a list of texts: ["text"]'),
        ({"modelMap": []}, 'modelMap = a list: write an object of texts: {"name": "text"}'),
        ({"modelMap": {"a": 1}}, 'modelMap = 1: write an object of texts: {"name": "text"}'),
        ({"customHeaders": 5}, 'customHeaders: write an object of texts: {"name": "text"}'),
        ({"customHeaders": {"a b": "c"}}, "customHeaders: a header's name may hold letters"),
        ({"customHeaders": {"a": "b\r\nc"}}, "customHeaders: it holds a line break; remove it"),
        ({"apiKey": 5}, "apiKey: write a text"),
        ({"apiKey": "a\nb"}, "apiKey: it holds a line break; remove it"),
        ({"apiKey": "a\u2026"}, "apiKey: it holds a character that a header can't carry"),
        ({"name": ""}, "name = '': begin it with a letter"),
        ({"name": " a"}, "name = ' a': begin it with a letter"),
        ({"name": "a/b"}, "name = 'a/b': begin it with a letter"),
        ({"name": "x" * 61}, "name: write a text of 1 to 60 characters"),
        ({"name": 3}, "name = 3: write a text of 1 to 60 characters"),
        ({"name": EMBEDDED_ALIAS}, "name = this-computer: this name is taken; choose another"),
        ({"url": 3}, "url: write a text"),
    ],
)
def test_a_mistake_in_an_entry_names_place_field_value_and_mend(
    fields: dict[str, Any], problem: str
) -> None:
    assert mistake(**fields).startswith(f"ENDPOINTS[1], {problem}")


def test_every_mistake_of_an_entry_is_told_once() -> None:
    _, problems = read('[{"url":"h","weight":-1,"models":[1,2,3],"extra":0}]')
    assert [line.partition(":")[0].split(" = ")[0] for line in problems] == [
        "ENDPOINTS[1], url",
        "ENDPOINTS[1], weight",
        "ENDPOINTS[1], models",
        "ENDPOINTS[1], extra",
    ]


def test_the_second_of_two_entries_with_one_name_is_left_out() -> None:
    found, problems = read('[{"url":"https://a","name":"same"},{"url":"https://b","name":"same"}]')
    assert [endpoint.url for endpoint in found] == ["https://a/v1"]
    assert problems == ["ENDPOINTS[2], name = same: this name is taken; choose another"]


# Variables in the place of secrets


@pytest.mark.parametrize("written", ["$MY_KEY", "${MY_KEY}"])
def test_a_key_may_name_a_variable(written: str) -> None:
    endpoint = one({"MY_KEY": "secret\n"}, apiKey=written, customHeaders={"X": written})
    assert endpoint.api_key == SecretStr("secret")
    assert endpoint.custom_headers == {"X": SecretStr("secret")}


@pytest.mark.parametrize("environment", [{}, {"MY_KEY": ""}])
def test_a_variable_that_is_not_set_is_told_by_name(environment: dict[str, str]) -> None:
    found, problems = read('[{"url":"https://h","apiKey":"$MY_KEY"}]', **environment)
    assert found == ()
    assert problems == ["ENDPOINTS[1], apiKey = $MY_KEY: set the variable MY_KEY"]


def test_a_header_whose_variable_is_not_set_is_told_by_its_field() -> None:
    assert mistake(customHeaders={"X-Org": "${ORG}"}) == (
        "ENDPOINTS[1], customHeaders = $ORG: set the variable ORG"
    )


def test_a_password_that_begins_with_a_dollar_is_not_told() -> None:
    assert mistake(apiKey="$uperSecret") == (
        "ENDPOINTS[1], apiKey: a value that begins with $ names a variable, "
        "and none of that name is set"
    )


@pytest.mark.parametrize("written", ["${MY_KEY", "$MY_KEY}", "$MY-KEY", "a$MY_KEY", "$1"])
def test_other_dollars_are_part_of_the_key(written: str) -> None:
    assert one({"MY_KEY": "x"}, apiKey=written).api_key == SecretStr(written)


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_key_is_none(blank: str | None) -> None:
    assert one(apiKey=blank).api_key is None


def test_the_line_break_behind_a_key_is_dropped() -> None:
    assert one(apiKey="key\n").api_key == SecretStr("key")


# One variable, many ways to write it


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("indent", [None, 0, 4])
def test_a_list_may_run_over_lines_and_keep_the_quotes_of_a_file(
    quote: str, indent: int | None
) -> None:
    text = json.dumps([{"url": "https://h"}, {"url": "https://i"}], indent=indent)
    found, problems = read(f" {quote}{text}{quote}\n")
    assert problems == []
    assert len(found) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_json_file_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "endpoints.json"
    path.write_text('[{"url":"https://h"},{"url":"i"}]', encoding=encoding)
    found, problems = read(f" {path}\n")
    assert [endpoint.url for endpoint in found] == ["https://h/v1"]
    assert problems == ["endpoints.json[2], url: start it with https:// or http://"]


def test_a_json_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    problem = "ENDPOINTS = no.json: the file can't be read; check its path"
    assert read(str(tmp_path / "no.json")) == ((), [problem])
    (tmp_path / "no.json").write_bytes(b"\xff\xff")
    assert read(str(tmp_path / "no.json")) == ((), [problem])
    assert read("~nobody-of/no.json") == ((), [problem])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(
                        st.sampled_from(["url", "apiKey", "weight", "models", "name",
                                         "customHeaders", "modelMap", "x"]) | st.text(), inner),
                    max_leaves=12))  # fmt: skip
def test_any_json_gives_endpoints_or_problems(raw: Any) -> None:
    found, problems = read(json.dumps(raw))
    assert found or problems
    assert all(line.isprintable() for line in problems)


# URLs


@pytest.mark.parametrize(
    ("written", "base"),
    [
        ("https://h", "https://h/v1"),
        ("https://h/", "https://h/v1"),
        ("https://h/v1", "https://h/v1"),
        ("https://h/v1/", "https://h/v1"),
        ("https://h/v1/chat/completions", "https://h/v1"),
        ("https://h/v1/chat/completions/", "https://h/v1"),
        ("https://h/v1//chat/completions", "https://h/v1"),
        ("https://h/v1/models", "https://h/v1"),
        ("https://h/v1/completions", "https://h/v1"),
        ("https://h/chat/completions", "https://h/v1"),
        ("https://h/api", "https://h/api/v1"),
        ("https://chatapi.akash.network/api/v1", "https://chatapi.akash.network/api/v1"),
        ("https://h/v1beta/openai", "https://h/v1beta/openai/v1"),
        ("https://h/v2", "https://h/v2"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        (" HTTPS://H/v1 ", "https://H/v1"),
    ],
)
def test_the_forms_that_people_paste_give_one_base(written: str, base: str) -> None:
    assert base_url(written) == base


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), max_size=2),
    st.sampled_from(["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"]),
)
def test_every_form_of_one_url_is_the_same_endpoint(
    host: str, port: int | None, path: list[str], tail: str
) -> None:
    path = [part for part in path if part not in ("models", "completions", "chat")]
    root = f"http://{host}" + (f":{port}" if port else "") + "".join(f"/{p}" for p in path)
    base = base_url(root + tail)
    assert base == root + "/v1"
    assert base_url(base) == base


@given(st.text() | st.text().map("https://".__add__))
def test_any_text_is_a_url_or_a_mend_that_does_not_repeat_it(text: str) -> None:
    base, hint = "", ""
    try:
        base = base_url(text)
    except ValueError as error:
        hint = str(error)
    if base:
        assert urlsplit(base).hostname
        assert base_url(base) == base
    else:
        assert hint
        assert len(text) < 12 or text not in hint


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("", "start it with https:// or http://"),
        ("host.com/v1", "start it with https:// or http://"),
        ("localhost:8000", "start it with https:// or http://"),
        ("ftp://h", "start it with https:// or http://"),
        ("https://", "name a host after the scheme"),
        ("https:///v1", "name a host after the scheme"),
        ("https://a b/v1", "name a host after the scheme, without spaces"),
        ("https://h/a b", "name a host after the scheme, without spaces"),
        ("https://h\\v1", "name a host after the scheme"),
        ("https://user:pass@h/v1", "take the user and password out of it"),
        ("https://key@h/v1", "take the user and password out of it"),
        ("https://@h/v1", "take the user and password out of it"),
        ("https://h/v1?key=1", "leave out everything from the ? or # on"),
        ("https://h/v1#x", "leave out everything from the ? or # on"),
        ("https://h:99999", "its port must be a number from 1 to 65535"),
        ("https://h:0", "its port must be a number from 1 to 65535"),
        ("https://h:port", "its port must be a number from 1 to 65535"),
        ("https://[::1", "its host can't be read"),
        ("https://u:secret@h\u2100/", "its host can't be read"),
    ],
)
def test_a_url_that_cannot_be_used_gives_the_mend(written: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        base_url(written)
    assert str(caught.value).startswith(hint)
    assert "secret" not in str(caught.value)


def test_the_short_form_takes_a_key_as_it_is() -> None:
    (endpoint,), problems = read_short_form("https://h", SecretStr("$NOT_A_NAME"), None)
    assert endpoint.api_key == SecretStr("$NOT_A_NAME")
    assert problems == ()


def test_an_endpoint_is_frozen_and_keeps_its_secrets_out_of_sight() -> None:
    endpoint = one(apiKey="planted-key", customHeaders={"X": "planted-header"})
    assert "planted" not in f"{endpoint!r} {endpoint} {endpoint.model_dump_json()}"
    with pytest.raises(ValidationError):
        endpoint.weight = 2
