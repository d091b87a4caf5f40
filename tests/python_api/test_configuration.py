"""Keyword arguments, endpoints and models: what is accepted, and errors in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import akash_gradio as ag
from akash_gradio.catalog.loader import Catalog
from akash_gradio.check.probe import Level
from akash_gradio.check.service import CheckService
from akash_gradio.check.target_lookup import CheckError
from akash_gradio.config.docs import KEYWORDS, keywords_module
from akash_gradio.config.keywords import NOT_KEYWORDS, keyword_names
from akash_gradio.config.settings import EmbeddedMode, Routing, variables


def reply(messages: Any) -> str:
    return "Hi"


def test_the_keywords_module_is_current() -> None:
    assert KEYWORDS.read_text(encoding="utf-8") == keywords_module(), "run `make docs`"


def test_every_setting_is_a_keyword() -> None:
    assert set(keyword_names().values()) == {
        field for field, variable in variables().items() if variable not in NOT_KEYWORDS
    }
    assert len(set(keyword_names())) == len(keyword_names())


@pytest.mark.parametrize(
    ("keywords", "field", "value"),
    [
        ({"retry_attempts": 0}, "retry_attempts", 0),
        ({"retry_delay": 250}, "retry_delay_ms", 250),
        ({"routing": "least_busy"}, "routing", Routing.LEAST_BUSY),
        ({"routing": Routing.LEAST_BUSY}, "routing", Routing.LEAST_BUSY),
        ({"fallback_model": ["a", "b"]}, "fallback_models", ("a", "b")),
        ({"fallback_model": "a, b"}, "fallback_models", ("a", "b")),
        ({"data_dir": Path("/x")}, "data_dir", Path("/x")),
        ({"debug": True}, "debug", True),
        ({"cost_per_day": 1.5}, "cost_per_day", 1.5),
        (
            {"parameter_ranges": {"temperature": (0, 1)}},
            "parameter_ranges",
            {"temperature": (0, 1)},
        ),
        ({"cost_per_day": None}, "cost_per_day", None),
        ({"server_port": 9000}, "server_port", 9000),
    ],
)
def test_keywords_mean_what_the_variables_mean(
    keywords: dict[str, Any], field: str, value: object
) -> None:
    assert getattr(ag.App(reply, **keywords).settings, field) == value


def test_a_keyword_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETRY_ATTEMPTS", "7")
    assert ag.App(reply).settings.retry_attempts == 7
    assert ag.App(reply, retry_attempts=1).settings.retry_attempts == 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"retry_attempts": -1}, "retry_attempts = -1: must be"),
        ({"retry_attemps": 1}, "retry_attemps is not an argument; did you mean retry_attempts?"),
        ({"routing": "random"}, "routing = 'random': must be"),
        ({"parameter_ranges": {"colour": (0, 1)}}, "parameter_ranges"),
    ],
)
def test_a_wrong_keyword_is_an_error_in_one_line_that_names_it(
    keywords: dict[str, Any], message: str
) -> None:
    with pytest.raises(ag.ConfigurationError) as raised:
        ag.App(reply, **keywords)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("ftp://h",), "url = ftp://h: must start with https:// or http://"),
        (("not a url",), "url"),
    ],
)
def test_a_wrong_endpoint_is_an_error_in_one_line(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(ag.ConfigurationError) as raised:
        ag.Endpoint(*arguments)
    assert str(raised.value).startswith("ag.Endpoint")
    assert "\n" not in str(raised.value)


def test_an_unset_key_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING_KEY", raising=False)
    with pytest.raises(ag.ConfigurationError, match="MISSING_KEY"):
        ag.Endpoint("https://h/v1", api_key="$MISSING_KEY")
    monkeypatch.setenv("MISSING_KEY", "k-1234567890")
    key = ag.Endpoint("https://h/v1", api_key="$MISSING_KEY").settings.api_key
    assert key is not None
    assert key.get_secret_value() == "k-1234567890"


def test_endpoints_of_the_program_replace_those_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ENDPOINTS", '[{"url": "https://h/v1"}]')
    settings = ag.App([reply, ag.Endpoint("https://other/v1", weight=3)]).settings
    assert [entry.name for entry in settings.endpoints] == ["reply", "endpoint-1"]
    assert settings.embedded is EmbeddedMode.OFF
    assert [entry.url for entry in ag.App().settings.endpoints] == ["https://h/v1"]


def test_two_endpoints_of_the_same_name_get_different_aliases() -> None:
    settings = ag.App(["https://a/v1", "https://b/v1", reply, reply]).settings
    assert len({entry.name for entry in settings.endpoints}) == 4


def test_a_decorated_function_stays_callable_and_has_a_card() -> None:
    @ag.model("org/my-model", name="My model", token_limit=4096, starters=["Hello?"])
    def decorated(messages: Any) -> str:
        return "Hi"

    assert decorated([]) == "Hi"
    app = ag.App(decorated)
    (entry,) = app.settings.endpoints
    assert (entry.name, entry.models) == ("org-my-model", ("org/my-model",))
    card = app._cards[0]
    assert (card.id, card.name, card.starters) == ("org/my-model", "My model", ("Hello?",))

    @ag.model
    def bare(messages: Any) -> str:
        return "Hi"

    assert ag.App(models=[bare]).settings.endpoints[0].models == ("bare",)


def test_a_function_has_no_server_to_check() -> None:
    app = ag.App(reply)
    checks = CheckService(app.gateway.endpoint, Catalog())
    with pytest.raises(CheckError) as raised:
        checks.check_endpoint("reply", None, Level.QUICK)
    assert raised.value.code == "check_function"


def test_an_unknown_field_of_a_card_is_named() -> None:
    with pytest.raises(ag.ConfigurationError, match="colour is not an argument"):
        ag.model("m", colour="red")(reply)
