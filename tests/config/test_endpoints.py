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
    endpoints, problems = read_endpoints(text, environment)
    return endpoints, [str(problem) for problem in problems]


def one(environment: Mapping[str, str] | None = None, **fields: Any) -> EndpointSettings:
    endpoints, problems = read(json.dumps([{"url": "https://h", **fields}]), **(environment or {}))
    assert problems == []
    return endpoints[0]


def problem_with(**fields: Any) -> str:
    endpoints, problems = read(json.dumps([{"url": "https://h", **fields}]))
    assert endpoints == ()
    (problem,) = problems
    return problem


def test_the_guides_line_is_read() -> None:
    endpoints, problems = read(
        '[{"url":"https://your-model-endpoint.com","apiKey":"your-api-key","weight":1,'
        '"models":["new-model-id"]}]'
    )
    assert problems == []
    (endpoint,) = endpoints
    assert endpoint.url == "https://your-model-endpoint.com/v1"
    assert endpoint.api_key == SecretStr("your-api-key")
    assert (endpoint.weight, endpoint.models) == (1, ("new-model-id",))


def test_an_omitted_field_has_its_default() -> None:
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


def test_endpoints_without_a_name_are_numbered() -> None:
    endpoints, _ = read('[{"url":"https://a"},{"url":"https://b","name":"b"},{"url":"https://c"}]')
    assert [endpoint.name for endpoint in endpoints] == ["endpoint-1", "b", "endpoint-3"]


def test_an_invalid_entry_does_not_affect_the_others() -> None:
    endpoints, problems = read('[{"url":"https://a"},{"url":"b"},{"url":"https://c"}]')
    assert [endpoint.url for endpoint in endpoints] == ["https://a/v1", "https://c/v1"]
    assert problems == ["ENDPOINTS[2], url: must start with https:// or http://"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://h", "ENDPOINTS: must be JSON (line 1, column 1), as in [{"),
        ("[\n{'url': 1}]", "ENDPOINTS: must be JSON (line 2, column 2), as in [{"),
        ("[" * 100_000, "ENDPOINTS: must be JSON"),
        ('{"url":"https://h"}', "ENDPOINTS = an object: must be a list: [{…}]"),
        ('"https://h"', "ENDPOINTS: must be JSON"),
        ('"\\"https://h\\""', "ENDPOINTS: must be JSON"),
        ("7", "ENDPOINTS = a number: must be a list"),
        ("null", "ENDPOINTS = null: must be a list"),
        ("[]", "ENDPOINTS = []: must not be empty; add an entry, or unset the variable"),
        (
            '["https://h"]',
            'ENDPOINTS[1] = a string: must be an object, as in {"url": "https://host/v1"}',
        ),
        ("[[]]", 'ENDPOINTS[1] = a list: must be an object, as in {"url": "https://host/v1"}'),
        ("[null]", 'ENDPOINTS[1] = null: must be an object, as in {"url": "https://host/v1"}'),
        ("[{}]", "ENDPOINTS[1], url: is required"),
    ],
)
def test_another_shape_is_one_problem(text: str, problem: str) -> None:
    endpoints, problems = read(text)
    assert endpoints == ()
    assert len(problems) == 1
    assert problems[0].startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"apikey": "k"}, "apikey: is not a field; did you mean apiKey?"),
        ({"key": "k"}, "key: is not a field; did you mean apiKey?"),
        ({"baseURL": "k"}, "baseURL: is not a field; did you mean url?"),
        ({"wieght": 1}, "wieght: is not a field; did you mean weight?"),
        ({"model": "m"}, "model: is not a field; did you mean models?"),
        ({"headers": {}}, "headers: is not a field; did you mean customHeaders?"),
        ({"max-concurrency": 1}, "max-concurrency: is not a field; did you mean maxCon"),
        ({"qqq": 1}, "qqq: is not a field; the fields are url, apiKey, weight, priority"),
        ({"weight": -1}, "weight = -1: must be a whole number from 0 to 1000000"),
        ({"weight": 1.5}, "weight = 1.5: must be a whole number from 0 to 1000000"),
        ({"weight": "2"}, "weight = '2': must be a whole number from 0 to 1000000"),
        ({"weight": True}, "weight = true: must be a whole number from 0 to 1000000"),
        ({"weight": None}, "weight = null: must be a whole number from 0 to 1000000"),
        ({"weight": 10**30}, "weight = a long number: must be a whole number from 0 to"),
        ({"priority": -1}, "priority = -1: must be a whole number of at least 0"),
        ({"maxConcurrency": 0}, "maxConcurrency = 0: must be a whole number of at least 1"),
        ({"models": []}, "models = a list: must name at least one model; leave the field out"),
        ({"models": [" "]}, "models = a list: must name at least one model; leave the field"),
        ({"models": "m"}, "models = 'm': must be a list of strings: [\"value\"]"),
        ({"models": [1]}, 'models = 1: must be a list of strings: ["value"]'),
        (
            {"modelMap": []},
            'modelMap = a list: must be an object with string values: {"name": "value"}',
        ),
        (
            {"modelMap": {"a": 1}},
            'modelMap = 1: must be an object with string values: {"name": "value"}',
        ),
        (
            {"customHeaders": 5},
            'customHeaders: must be an object with string values: {"name": "value"}',
        ),
        ({"customHeaders": {"a b": "c"}}, "customHeaders: must have names of letters"),
        ({"customHeaders": {"a": "b\r\nc"}}, "customHeaders: must not contain a line break"),
        ({"apiKey": 5}, "apiKey: must be a string"),
        ({"apiKey": "a\nb"}, "apiKey: must not contain a line break"),
        ({"apiKey": "a\u2026"}, "apiKey: contains a character that is not allowed in a header"),
        ({"name": ""}, "name = '': must begin with a letter"),
        ({"name": " a"}, "name = ' a': must begin with a letter"),
        ({"name": "a/b"}, "name = 'a/b': must begin with a letter"),
        ({"name": "x" * 61}, "name: must be a string of 1 to 60 characters"),
        ({"name": 3}, "name = 3: must be a string of 1 to 60 characters"),
        (
            {"name": EMBEDDED_ALIAS},
            "name = this-computer: must be unique; another entry has this name",
        ),
        ({"url": 3}, "url: must be a string"),
    ],
)
def test_a_problem_names_place_field_value_and_hint(fields: dict[str, Any], problem: str) -> None:
    assert problem_with(**fields).startswith(f"ENDPOINTS[1], {problem}")


def test_every_mistake_in_an_entry_is_reported_once() -> None:
    _, problems = read('[{"url":"h","weight":-1,"models":[1,2,3],"extra":0}]')
    assert [line.partition(":")[0].split(" = ")[0] for line in problems] == [
        "ENDPOINTS[1], url",
        "ENDPOINTS[1], weight",
        "ENDPOINTS[1], models",
        "ENDPOINTS[1], extra",
    ]


def test_the_second_of_two_entries_with_one_name_is_ignored() -> None:
    endpoints, problems = read(
        '[{"url":"https://a","name":"same"},{"url":"https://b","name":"same"}]'
    )
    assert [endpoint.url for endpoint in endpoints] == ["https://a/v1"]
    assert problems == ["ENDPOINTS[2], name = same: must be unique; another entry has this name"]


# Variables in the place of secrets


@pytest.mark.parametrize("written", ["$MY_KEY", "${MY_KEY}"])
def test_a_key_may_refer_to_a_variable(written: str) -> None:
    endpoint = one({"MY_KEY": "secret\n"}, apiKey=written, customHeaders={"X": written})
    assert endpoint.api_key == SecretStr("secret")
    assert endpoint.custom_headers == {"X": SecretStr("secret")}


@pytest.mark.parametrize("environment", [{}, {"MY_KEY": ""}])
def test_a_variable_that_is_not_set_is_named(environment: dict[str, str]) -> None:
    endpoints, problems = read('[{"url":"https://h","apiKey":"$MY_KEY"}]', **environment)
    assert endpoints == ()
    assert problems == ["ENDPOINTS[1], apiKey = $MY_KEY: set the variable MY_KEY"]


def test_a_header_whose_variable_is_not_set_is_reported_by_its_field() -> None:
    assert problem_with(customHeaders={"X-Org": "${ORG}"}) == (
        "ENDPOINTS[1], customHeaders = $ORG: set the variable ORG"
    )


def test_a_password_that_begins_with_a_dollar_is_not_shown() -> None:
    assert problem_with(apiKey="$uperSecret") == (
        "ENDPOINTS[1], apiKey: begins with $ and so refers to a variable, which is not set"
    )


@pytest.mark.parametrize("written", ["${MY_KEY", "$MY_KEY}", "$MY-KEY", "a$MY_KEY", "$1"])
def test_any_other_dollar_is_part_of_the_key(written: str) -> None:
    assert one({"MY_KEY": "x"}, apiKey=written).api_key == SecretStr(written)


@pytest.mark.parametrize("blank", ["", "  ", None])
def test_a_blank_key_is_none(blank: str | None) -> None:
    assert one(apiKey=blank).api_key is None


def test_a_line_break_after_a_key_is_removed() -> None:
    assert one(apiKey="key\n").api_key == SecretStr("key")


# One variable, many ways to write it


@pytest.mark.parametrize("quote", ["", "'", '"'])
@pytest.mark.parametrize("indent", [None, 0, 4])
def test_a_list_may_span_lines_and_be_quoted(quote: str, indent: int | None) -> None:
    text = json.dumps([{"url": "https://h"}, {"url": "https://i"}], indent=indent)
    endpoints, problems = read(f" {quote}{text}{quote}\n")
    assert problems == []
    assert len(endpoints) == 2


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_a_json_file_is_read(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "endpoints.json"
    path.write_text('[{"url":"https://h"},{"url":"i"}]', encoding=encoding)
    endpoints, problems = read(f" {path}\n")
    assert [endpoint.url for endpoint in endpoints] == ["https://h/v1"]
    assert problems == ["endpoints.json[2], url: must start with https:// or http://"]


def test_a_json_file_that_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    problem = "ENDPOINTS = no.json: must be the path of a file that can be read"
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
    endpoints, problems = read(json.dumps(raw))
    assert endpoints or problems
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
        ("https://h/chat/completions", "https://h"),
        ("https://h/api", "https://h/api/v1"),
        ("https://chatapi.akash.network/api/v1", "https://chatapi.akash.network/api/v1"),
        # As vendors document them: Gemini, DeepInfra, Azure, Groq, OpenRouter, Perplexity,
        # Cloudflare, z.ai, Volcano, Novita, Cohere, Vertex AI, Bedrock, Databricks.
        (
            "https://generativelanguage.googleapis.com/v1beta/openai/",
            "https://generativelanguage.googleapis.com/v1beta/openai",
        ),
        ("https://api.deepinfra.com/v1/openai", "https://api.deepinfra.com/v1/openai"),
        ("https://r.openai.azure.com/openai/v1/", "https://r.openai.azure.com/openai/v1"),
        (
            "https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
            "https://r.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=1",
            "https://r.openai.azure.com/openai/deployments/d?api-version=1",
        ),
        ("https://api.groq.com/openai/v1", "https://api.groq.com/openai/v1"),
        ("https://openrouter.ai/api/v1", "https://openrouter.ai/api/v1"),
        ("https://api.perplexity.ai/chat/completions", "https://api.perplexity.ai"),
        ("https://h/client/v4/accounts/a/ai/v1", "https://h/client/v4/accounts/a/ai/v1"),
        ("https://h/v1/account/gateway/openai", "https://h/v1/account/gateway/openai"),
        ("https://api.z.ai/api/paas/v4/", "https://api.z.ai/api/paas/v4"),
        ("https://ark.cn-beijing.volces.com/api/v3", "https://ark.cn-beijing.volces.com/api/v3"),
        ("https://api.novita.ai/v3/openai", "https://api.novita.ai/v3/openai"),
        ("https://api.cohere.ai/compatibility/v1", "https://api.cohere.ai/compatibility/v1"),
        ("https://h/v1/projects/p/locations/l/endpoints/openapi",) * 2,
        ("https://h/openai/v1", "https://h/openai/v1"),
        ("https://h/serving-endpoints/chat/completions", "https://h/serving-endpoints"),
        ("https://h?key=1", "https://h/v1?key=1"),
        ("https://h/v1?key=1", "https://h/v1?key=1"),
        ("https://h/v1/models?key=1", "https://h/v1?key=1"),
        ("https://h/v2", "https://h/v2"),
        ("http://localhost:8000", "http://localhost:8000/v1"),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        (" HTTPS://H/v1 ", "https://H/v1"),
    ],
)
def test_the_usual_forms_of_a_url_have_one_base(written: str, base: str) -> None:
    assert base_url(written) == base


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,20}(\.[a-z]{2,5}){0,2}", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), max_size=2),
    st.sampled_from(["", "/", "/v1", "/v1/", "/v1/chat/completions", "/v1/models"]),
)
def test_every_form_of_a_url_has_the_same_base(
    host: str, port: int | None, path: list[str], tail: str
) -> None:
    path = [part for part in path if part not in ("models", "completions", "chat")]
    root = f"http://{host}" + (f":{port}" if port else "") + "".join(f"/{p}" for p in path)
    base = base_url(root + tail)
    assert base == root + "/v1"
    assert base_url(base) == base


@given(st.text() | st.text().map("https://".__add__))
def test_a_hint_does_not_repeat_the_url(text: str) -> None:
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
        ("", "must start with https:// or http://"),
        ("host.com/v1", "must start with https:// or http://"),
        ("localhost:8000", "must start with https:// or http://"),
        ("ftp://h", "must start with https:// or http://"),
        ("https://", "must have a valid host"),
        ("https:///v1", "must have a valid host"),
        ("https://a b/v1", "must have a valid host"),
        ("https://h/a b", "must have a valid host"),
        ("https://h\\v1", "must have a valid host"),
        ("https://user:pass@h/v1", "must not contain a user or password"),
        ("https://key@h/v1", "must not contain a user or password"),
        ("https://@h/v1", "must not contain a user or password"),
        ("https://h/v1?key=1 2", "must not contain a # or spaces after the ?"),
        ("https://h/v1#x", "must not contain a # or spaces after the ?"),
        ("https://h:99999", "must have a port from 1 to 65535"),
        ("https://h:0", "must have a port from 1 to 65535"),
        ("https://h:port", "must have a port from 1 to 65535"),
        ("https://[::1", "must have a valid host"),
        ("https://u:secret@h\u2100/", "must have a valid host"),
    ],
)
def test_a_url_that_cannot_be_used_raises_with_a_hint(written: str, hint: str) -> None:
    with pytest.raises(ValueError) as caught:
        base_url(written)
    assert str(caught.value).startswith(hint)
    assert "secret" not in str(caught.value)


def test_the_query_of_a_url_is_kept_on_every_path() -> None:
    endpoint = one(url="https://h/openai/deployments/d?api-version=1")
    assert endpoint.address("/chat/completions") == (
        "https://h/openai/deployments/d/chat/completions?api-version=1"
    )
    assert one(url="https://h").address("/models") == "https://h/v1/models"


def test_an_address_is_shown_without_secret_values_of_its_query() -> None:
    endpoint = one(url="https://h/v1?api-version=1&key=planted&empty=")
    assert endpoint.shown_address("/models") == (
        "https://h/v1/models?api-version=1&key=[removed]&empty=[removed]"
    )


@pytest.mark.parametrize(
    ("url", "other"),
    [
        ("https://h/v1", "https://h"),
        ("https://h/chat/completions", "https://h/v1"),
        ("https://h/v1?key=1", "https://h?key=1"),
        ("https://h/v1/openai", "https://h/v1/openai/v1"),
        ("https://h/api/v3", None),
    ],
)
def test_the_alternative_to_a_url_has_or_lacks_the_version(url: str, other: str | None) -> None:
    alternative = one(url=url).alternative()
    assert (alternative and alternative.url) == other


def test_the_short_form_does_not_look_up_variables() -> None:
    (endpoint,), problems = read_short_form("https://h", SecretStr("$NOT_A_NAME"), None)
    assert endpoint.api_key == SecretStr("$NOT_A_NAME")
    assert problems == ()


def test_an_endpoint_is_frozen_and_hides_its_secrets() -> None:
    endpoint = one(apiKey="planted-key", customHeaders={"X": "planted-header"})
    assert "planted" not in f"{endpoint!r} {endpoint} {endpoint.model_dump_json()}"
    with pytest.raises(ValidationError):
        endpoint.weight = 2  # type: ignore[misc]
