from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as no_deadline
from hypothesis import strategies as st
from pydantic import ValidationError

from akash_gradio.config.access import OwnKeysMode
from akash_gradio.config.settings import (
    EmbeddedMode,
    HealthProbe,
    Routing,
    Settings,
    read_settings,
    variables,
)

KEY = "sk-planted-Zq81xTnpW0"
GUIDE_LIST = """[
  {"url":"https://endpoint1.com","apiKey":"key1","weight":2,"models":["new-model-id"]},
  {"url":"https://endpoint2.com","apiKey":"key2","weight":1,"models":["new-model-id"]}
]"""


def read(**environment: str) -> Settings:
    return read_settings(environment, None)


def problems_of(settings: Settings) -> str:
    return "\n".join(str(problem) for problem in settings.problems)


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    return tmp_path / ".env"


DEFAULTS: dict[str, Any] = {
    "ENDPOINTS": None,
    "API_ENDPOINT": None,
    "API_KEY": None,
    "DEFAULT_MODEL": None,
    "FALLBACK_MODEL": (),
    "RETRY_ATTEMPTS": 3,
    "RETRY_DELAY": 1000,
    "CONNECT_TIMEOUT": 5.0,
    "FIRST_TOKEN_TIMEOUT": 60.0,
    "IDLE_TIMEOUT": 30.0,
    "REQUEST_TIMEOUT": 3600.0,
    "ROUTING": Routing.WEIGHTED,
    "DISCOVERY_INTERVAL": 60.0,
    "HEALTH_PROBE": HealthProbe.OFF,
    "GATEWAY_API_KEYS": None,
    "PROXY_API_KEY": None,
    "DEBUG": False,
    "CATALOG_FILE": None,
    "MODELS_FILE": None,
    "EMBEDDED": EmbeddedMode.AUTO,
    "EMBEDDED_MODEL": None,
    "CACHE_DIR": Path("~/.cache/akash-gradio").expanduser(),
    "DATA_DIR": None,
    "DATABASE_URL": None,
    "RUN_STORAGE_MB": 2000,
    "RUN_RETENTION_DAYS": 90,
    "GRADIO_SERVER_NAME": "127.0.0.1",
    "GRADIO_SERVER_PORT": 7860,
    "GRADIO_ROOT_PATH": "",
    "ALLOWED_HOSTS": (),
    "ALLOWED_ORIGINS": (),
    "FRAME_ANCESTORS": ("https://huggingface.co",),
    "TRUSTED_PROXIES": 0,
    "ACCESS_TOKEN": None,
    "ADMIN_PASSWORD": None,
    "SIGN_IN": None,
    "ALLOWED_USERS": (),
    "ALLOWED_ORGS": (),
    "OAUTH_CLIENT_ID": None,
    "OAUTH_CLIENT_SECRET": None,
    "OPENID_PROVIDER_URL": "https://huggingface.co",
    "SPACE_HOST": (),
    "SESSION_SECRET": None,
    "VISITOR_MESSAGES_PER_MINUTE": None,
    "VISITOR_TOKENS_PER_DAY": None,
    "REQUESTS_AT_ONCE": None,
    "QUEUE_LENGTH": 100,
    "TOKENS_PER_DAY": None,
    "COST_PER_DAY": None,
    "ALLOWED_MODELS": (),
    "PARAMETER_RANGES": {},
    "LONGEST_MESSAGE": None,
    "LONGEST_REQUEST": None,
    "DEFAULT_MAX_TOKENS": 4096,
    "OWN_KEYS": OwnKeysMode.OFF,
    "REDIS_URL": None,
    "HF_TOKEN": None,
    "SPACE_ID": None,
    "SPACES_ZERO_GPU": False,
}


def test_every_variable_has_its_name_and_its_default() -> None:
    settings = read()
    by_name = {name: getattr(settings, field) for field, name in variables().items()}
    by_name["CACHE_DIR"] = by_name["CACHE_DIR"].expanduser()
    assert by_name == DEFAULTS
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("DEFAULT_MODEL", "m", "default_model", "m"),
        ("FALLBACK_MODEL", "fallback-model-id", "fallback_models", ("fallback-model-id",)),
        ("FALLBACK_MODEL", " a, b ,,c", "fallback_models", ("a", "b", "c")),
        ("RETRY_ATTEMPTS", "0", "retry_attempts", 0),
        ("RETRY_DELAY", " 250 ", "retry_delay_ms", 250),
        ("CONNECT_TIMEOUT", "0.5", "connect_timeout_s", 0.5),
        ("FIRST_TOKEN_TIMEOUT", "90", "first_token_timeout_s", 90.0),
        ("IDLE_TIMEOUT", "12.5", "idle_timeout_s", 12.5),
        ("REQUEST_TIMEOUT", "600", "request_timeout_s", 600.0),
        ("ROUTING", "least_busy", "routing", Routing.LEAST_BUSY),
        ("ROUTING", "Least-Busy", "routing", Routing.LEAST_BUSY),
        ("DISCOVERY_INTERVAL", "5", "discovery_interval_s", 5.0),
        ("HEALTH_PROBE", "Token", "health_probe", HealthProbe.TOKEN),
        ("DEBUG", "true", "debug", True),
        ("DEBUG", "1", "debug", True),
        ("DEBUG", "FALSE", "debug", False),
        ("CATALOG_FILE", "/etc/models.toml", "catalog_file", Path("/etc/models.toml")),
        ("EMBEDDED", "OFF", "embedded", EmbeddedMode.OFF),
        ("EMBEDDED_MODEL", "hf:o/r/f.gguf", "embedded_model", "hf:o/r/f.gguf"),
        ("CACHE_DIR", "/var/cache/a", "cache_dir", Path("/var/cache/a")),
        ("GRADIO_SERVER_NAME", "0.0.0.0", "server_name", "0.0.0.0"),
        ("GRADIO_SERVER_PORT", "80", "server_port", 80),
        ("PORT", "8080", "server_port", 8080),
        ("GRADIO_ROOT_PATH", " /chat ", "root_path", "/chat"),
    ],
)
def test_a_variable_is_read(name: str, text: str, field: str, value: object) -> None:
    settings = read(**{name: text})
    assert getattr(settings, field) == value
    assert settings.problems == ()


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "RETRY_ATTEMPTS",
            "three",
            "RETRY_ATTEMPTS = 'three': must be a whole number from 0 to 20",
        ),
        ("RETRY_ATTEMPTS", "-1", "RETRY_ATTEMPTS = '-1': must be a whole number from 0 to 20"),
        ("RETRY_ATTEMPTS", "21", "RETRY_ATTEMPTS = '21': must be a whole number from 0 to 20"),
        ("RETRY_DELAY", "1s", "RETRY_DELAY = '1s': must be a whole number from 0 to 30000"),
        (
            "CONNECT_TIMEOUT",
            "0",
            "CONNECT_TIMEOUT = '0': must be a number above 0 and at most 300",
        ),
        (
            "FIRST_TOKEN_TIMEOUT",
            "nan",
            "FIRST_TOKEN_TIMEOUT = 'nan': must be a number above 0 and at most 3600",
        ),
        ("IDLE_TIMEOUT", "inf", "IDLE_TIMEOUT = 'inf': must be a number above 0 and at most 3600"),
        (
            "DISCOVERY_INTERVAL",
            "0.5",
            "DISCOVERY_INTERVAL = '0.5': must be a number from 1 to 86400",
        ),
        ("ROUTING", "random", "ROUTING = 'random': must be weighted or least_busy"),
        ("DEBUG", "maybe", "DEBUG = 'maybe': must be true or false"),
        ("EMBEDDED", "never", "EMBEDDED = 'never': must be auto, on or off"),
        (
            "GRADIO_SERVER_PORT",
            "http",
            "GRADIO_SERVER_PORT = 'http': must be a whole number from 0",
        ),
        ("PORT", "65536", "PORT = '65536': must be a whole number from 0 to 65535"),
        (
            "CACHE_DIR",
            "~nobody-of/x",
            "CACHE_DIR = '~nobody-of/x': must be a full path: there is no user",
        ),
    ],
)
def test_an_invalid_value_is_one_problem_and_its_default_is_used(
    name: str, text: str, problem: str
) -> None:
    settings = read(**{name: text})
    assert problems_of(settings).startswith(problem)
    assert "\n" not in problems_of(settings)
    assert settings.model_copy(update={"problems": ()}) == read()


def test_the_problem_names_the_default_that_is_used() -> None:
    assert problems_of(read(RETRY_DELAY="x")).endswith("; using the default, 1000")
    assert problems_of(read(DEBUG="x")).endswith("; using the default, false")
    assert problems_of(read(CATALOG_FILE="~nobody-of/x")).endswith("; the value is ignored")


def test_an_invalid_value_does_not_affect_the_others() -> None:
    settings = read(RETRY_ATTEMPTS="x", RETRY_DELAY="7", DEBUG="?", ROUTING="least_busy")
    assert (settings.retry_delay_ms, settings.routing) == (7, Routing.LEAST_BUSY)
    assert sorted(problem.where for problem in settings.problems) == ["DEBUG", "RETRY_ATTEMPTS"]


@no_deadline(deadline=None)  # the machine may be busy
@given(
    st.dictionaries(
        st.sampled_from(sorted(DEFAULTS)), st.text(st.characters(exclude_characters="\0"))
    )
)
def test_no_value_of_any_variable_raises(environment: dict[str, str]) -> None:
    settings = read_settings(environment, None)
    assert all("\n" not in str(problem) for problem in settings.problems)


@pytest.mark.parametrize("blank", ["", "   ", "\t\n"])
def test_a_blank_value_counts_as_unset(blank: str) -> None:
    assert read_settings(dict.fromkeys(DEFAULTS, blank), None) == read()


def test_gradios_port_variable_wins_over_port() -> None:
    assert read(PORT="1", GRADIO_SERVER_PORT="2").server_port == 2
    assert read(PORT="1", GRADIO_SERVER_PORT="").server_port == 1


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        read().debug = True  # type: ignore[misc]


# The embedded model


@pytest.mark.parametrize(
    ("environment", "enabled"),
    [
        ({}, True),
        ({"EMBEDDED": "auto"}, True),
        ({"EMBEDDED": "off"}, False),
        ({"ENDPOINTS": '[{"url":"https://h"}]'}, False),
        ({"ENDPOINTS": "broken"}, False),
        ({"API_ENDPOINT": "https://h"}, False),
        ({"API_ENDPOINT": "broken"}, False),
        ({"ENDPOINTS": '[{"url":"https://h"}]', "EMBEDDED": "on"}, True),
        ({"ENDPOINTS": '[{"url":"https://h"}]', "EMBEDDED": "off"}, False),
        ({"ENDPOINTS": " "}, True),
        ({"API_KEY": "k", "DEFAULT_MODEL": "m"}, True),
    ],
)
def test_the_embedded_model_runs_by_default_only_without_endpoints(
    environment: dict[str, str], enabled: bool
) -> None:
    assert read_settings(environment, None).embedded_enabled is enabled


# The short form


def test_the_short_form_configures_one_endpoint() -> None:
    settings = read(API_ENDPOINT="https://h/v1/", API_KEY=KEY, DEFAULT_MODEL="m")
    (endpoint,) = settings.endpoints
    assert (endpoint.url, endpoint.models, endpoint.weight) == ("https://h/v1", ("m",), 1)
    assert endpoint.api_key is not None
    assert endpoint.api_key.get_secret_value() == KEY
    assert settings.problems == ()


def test_the_short_form_needs_neither_key_nor_model() -> None:
    (endpoint,) = read(API_ENDPOINT="http://localhost:8000").endpoints
    assert (endpoint.api_key, endpoint.models) == (None, None)


def test_endpoints_wins_over_the_short_form_with_a_problem() -> None:
    settings = read(API_ENDPOINT="https://short", ENDPOINTS='[{"url":"https://list"}]')
    assert [endpoint.url for endpoint in settings.endpoints] == ["https://list/v1"]
    assert problems_of(settings) == (
        "API_ENDPOINT: is ignored because ENDPOINTS is set; unset one of them"
    )


@pytest.mark.parametrize(
    ("environment", "problem"),
    [
        ({"API_ENDPOINT": "host/v1"}, "API_ENDPOINT: must start with https:// or http://"),
        (
            {"API_ENDPOINT": "https://h", "API_KEY": f"{KEY}\nx"},
            "API_KEY: must not contain a line break",
        ),
        (
            {"API_ENDPOINT": "https://h", "API_KEY": f"{KEY}…"},
            "API_KEY: contains a character that is not allowed in a header; copy it again",
        ),
    ],
)
def test_a_mistake_in_the_short_form_names_its_variable(
    environment: dict[str, str], problem: str
) -> None:
    settings = read_settings(environment, None)
    assert problems_of(settings) == problem
    assert settings.endpoints == ()


# .env


def test_the_env_file_is_read(env_file: Path) -> None:
    env_file.write_text("# mine\nexport RETRY_ATTEMPTS=5\nDEBUG='true'\nDEFAULT_MODEL=\"a b\"\n")
    settings = read_settings({}, env_file)
    assert (settings.retry_attempts, settings.debug) == (5, True)
    assert settings.default_model == "a b"
    assert settings.problems == ()


def test_the_environment_wins_over_the_env_file(env_file: Path) -> None:
    env_file.write_text("RETRY_ATTEMPTS=5\nRETRY_DELAY=5\n")
    settings = read_settings({"RETRY_ATTEMPTS": "6"}, env_file)
    assert (settings.retry_attempts, settings.retry_delay_ms) == (6, 5)


def test_a_blank_variable_of_the_environment_does_not_hide_the_files(env_file: Path) -> None:
    env_file.write_text("RETRY_ATTEMPTS=5\n")
    assert read_settings({"RETRY_ATTEMPTS": ""}, env_file).retry_attempts == 5


def test_the_env_file_is_optional(env_file: Path) -> None:
    assert read_settings({}, env_file) == read()


@pytest.mark.parametrize(
    "written",
    [
        f"ENDPOINTS={GUIDE_LIST}",
        f"ENDPOINTS='{GUIDE_LIST}'",
        f"export ENDPOINTS = {GUIDE_LIST}   # two of them",
        f"ENDPOINTS={json.dumps(json.loads(GUIDE_LIST))}",
        f"ENDPOINTS='{json.dumps(json.loads(GUIDE_LIST))}'",
        f"ENDPOINTS={json.dumps(json.dumps(json.loads(GUIDE_LIST)))}",
        f"ENDPOINTS={GUIDE_LIST}".replace("\n", "\r\n"),
        f"\ufeffENDPOINTS={GUIDE_LIST}",
        'ENDPOINTS=[\n\n  {"url":"https://endpoint1.com","apiKey":"key1","weight":2,\n'
        '   "models":["new-model-id"]},\n{"url":"https://endpoint2.com","apiKey":"key2",'
        '"models":[\n"new-model-id"]}]',
    ],
    ids=["guide", "quoted", "export", "line", "line-quoted", "escaped", "crlf", "bom", "deep"],
)
def test_a_list_in_the_env_file_may_span_lines_as_in_the_guide(
    env_file: Path, written: str
) -> None:
    env_file.write_bytes(f"{written}\nRETRY_ATTEMPTS=9\n".encode())
    settings = read_settings({}, env_file)
    assert problems_of(settings) == ""
    assert [(e.url, e.weight) for e in settings.endpoints] == [
        ("https://endpoint1.com/v1", 2),
        ("https://endpoint2.com/v1", 1),
    ]
    assert settings.retry_attempts == 9


def test_an_invalid_list_in_the_env_file_ends_before_the_next_variable(env_file: Path) -> None:
    env_file.write_text(f'ENDPOINTS=[\n {{"url": "https://h", "apiKey": "{KEY}",}}\n]\nDEBUG=1\n')
    settings = read_settings({}, env_file)
    assert settings.debug is True
    assert problems_of(settings).startswith("ENDPOINTS: must be JSON (line 2,")
    assert KEY not in problems_of(settings)


def test_a_line_that_is_no_variable_is_reported_by_its_number(env_file: Path) -> None:
    env_file.write_text(f'DEBUG=1\n\n\n{KEY}\nAPI_KEY="{KEY}\nRETRY_ATTEMPTS=4\n')
    settings = read_settings({}, env_file)
    assert [str(problem).partition(" must")[0] for problem in settings.problems] == [
        ".env: line 4",
        ".env: line 5",
    ]
    assert KEY not in problems_of(settings)
    assert (settings.debug, settings.retry_attempts) == (True, 4)


def test_line_numbers_count_the_lines_of_a_list(env_file: Path) -> None:
    env_file.write_text(f"ENDPOINTS={GUIDE_LIST}\nnonsense\n")
    assert ".env: line 5 must" in problems_of(read_settings({}, env_file))


def test_a_binary_env_file_is_a_problem(env_file: Path) -> None:
    env_file.write_bytes(b"\xff\xfe\x00D")
    assert problems_of(read_settings({}, env_file)).startswith(".env: must be UTF-8 text")


def test_a_key_may_refer_to_a_variable_of_the_env_file(env_file: Path) -> None:
    env_file.write_text(
        f'MY_KEY={KEY}\nENDPOINTS=[{{"url":"https://h","apiKey":"$MY_KEY"}},'
        '{"url":"https://h","apiKey":"${MY_KEY}"}]\n'
    )
    settings = read_settings({}, env_file)
    keys = [endpoint.api_key for endpoint in settings.endpoints]
    assert [key.get_secret_value() for key in keys if key] == [KEY, KEY]


# Secrets


def entry(**fields: object) -> str:
    return json.dumps([{"url": "https://h", **fields}])


LEAKY: dict[str, dict[str, str]] = {
    "good key": {"ENDPOINTS": entry(apiKey=KEY)},
    "good headers": {"ENDPOINTS": entry(customHeaders={"X-Key": KEY})},
    "named by a variable": {"ENDPOINTS": entry(apiKey="$MY_KEY"), "MY_KEY": KEY},
    "named in braces": {"ENDPOINTS": entry(customHeaders={"X": "${MY_KEY}"}), "MY_KEY": KEY},
    "short form": {"API_ENDPOINT": "https://h", "API_KEY": KEY},
    "short form with a login": {"API_ENDPOINT": f"https://user:{KEY}@host/v1"},
    "short form that is a key": {"API_ENDPOINT": KEY},
    "short form, odd host": {"API_ENDPOINT": f"https://u:{KEY}@h\u2100st/v1"},
    "broken JSON": {"ENDPOINTS": f'[{{"url":"https://h","apiKey":"{KEY}"'},
    "the key alone": {"ENDPOINTS": KEY},
    "the key as JSON": {"ENDPOINTS": json.dumps(KEY)},
    "the key in the list": {"ENDPOINTS": json.dumps([KEY])},
    "the key for a file": {"ENDPOINTS": f'{{"apiKey":"{KEY}"}}.json'},
    "key in a list": {"ENDPOINTS": entry(apiKey=[KEY])},
    "key in an object": {"ENDPOINTS": entry(apiKey={"value": KEY})},
    "key beside a bad weight": {"ENDPOINTS": entry(apiKey=KEY, weight=-1)},
    "key as a weight": {"ENDPOINTS": entry(weight=KEY)},
    "key as a name": {"ENDPOINTS": entry(name=KEY + "/")},
    "key as a long name": {"ENDPOINTS": entry(name=KEY * 9)},
    "key as models": {"ENDPOINTS": entry(models=KEY)},
    "key in a map": {"ENDPOINTS": entry(modelMap=[KEY])},
    "key as a field": {"ENDPOINTS": entry(**{KEY: 1})},
    "key in an unknown field": {"ENDPOINTS": entry(token=KEY)},
    "key in snake case, wrong": {"ENDPOINTS": entry(api_key=[KEY])},
    "headers as a text": {"ENDPOINTS": entry(customHeaders=KEY)},
    "headers as a list": {"ENDPOINTS": entry(customHeaders=[KEY])},
    "header in a list": {"ENDPOINTS": entry(customHeaders={"X": [KEY]})},
    "header name": {"ENDPOINTS": entry(customHeaders={f"{KEY} x": "1"})},
    "header over lines": {"ENDPOINTS": entry(customHeaders={"X": f"{KEY}\nx"})},
    "key over lines": {"ENDPOINTS": entry(apiKey=f"{KEY}\nx")},
    "key that begins with $": {"ENDPOINTS": entry(apiKey="$" + KEY.replace("-", "_"))},
    "url with a login": {"ENDPOINTS": entry(url=f"https://user:{KEY}@h/v1")},
    "url with a query": {"ENDPOINTS": entry(url=f"https://h/v1?key={KEY}")},
    "url that is a key": {"ENDPOINTS": entry(url=KEY)},
    "url of a wrong type": {"ENDPOINTS": entry(url=[KEY])},
    "same name twice": {
        "ENDPOINTS": json.dumps([{"url": "https://h", "name": "a", "apiKey": KEY}] * 2)
    },
    **{
        f"key as {name}": {name: KEY}
        for name in DEFAULTS
        if name not in ("ENDPOINTS", "API_ENDPOINT", "API_KEY")
        and not isinstance(DEFAULTS[name], tuple | str | Path | None)
    },
}


@pytest.mark.parametrize("environment", LEAKY.values(), ids=LEAKY)
def test_no_key_appears_in_settings_or_problems(environment: dict[str, str]) -> None:
    settings = read_settings(environment, None)
    parts = (settings, problems_of(settings), settings.problems, settings.endpoints)
    out = f"{settings} {parts!r}"
    for planted in (KEY, KEY.replace("-", "_"), KEY[:12]):
        assert planted not in out


def test_a_short_value_is_shown_and_a_long_or_mixed_one_is_not() -> None:
    assert read(ROUTING="weigthed").problems[0].value == "'weigthed'"
    assert read(ROUTING="x" * 40).problems[0].value == ""
    assert read(ROUTING="a1b2c3d4").problems[0].value == ""


# Access


def test_a_space_needs_only_a_hugging_face_token() -> None:
    settings = read(SPACE_ID="me/demo", HF_TOKEN="hf_planted")
    (endpoint,) = settings.endpoints
    assert endpoint.url == "https://router.huggingface.co/v1"
    assert endpoint.api_key is not None
    assert endpoint.api_key.get_secret_value() == "hf_planted"
    assert settings.secret_names == {"hugging-face": "HF_TOKEN"}
    assert not settings.embedded_enabled


def test_the_token_is_unused_outside_a_space_and_with_endpoints() -> None:
    assert read(HF_TOKEN="hf_planted").endpoints == ()
    own = read(SPACE_ID="me/demo", HF_TOKEN="hf_planted", API_ENDPOINT="https://h", API_KEY="k")
    assert [endpoint.url for endpoint in own.endpoints] == ["https://h/v1"]
    assert own.secret_names == {"endpoint-1": "API_KEY"}


def test_a_problem_with_the_token_does_not_show_it() -> None:
    settings = read(SPACE_ID="me/demo", HF_TOKEN="hf_\u00e9planted")
    assert problems_of(settings).startswith("HF_TOKEN:")
    assert "planted" not in problems_of(settings)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("ALLOWED_ORIGINS", "friend.example"),
        ("ALLOWED_ORIGINS", "https://friend.example/page"),
        ("ALLOWED_HOSTS", "https://chat.example"),
        ("ALLOWED_HOSTS", "chat.example:443"),
        ("ALLOWED_HOSTS", "a b"),
        ("ALLOWED_HOSTS", "*example"),
        ("FRAME_ANCESTORS", "https://a.example; script-src *"),
        ("PARAMETER_RANGES", "{"),
        ("PARAMETER_RANGES", '{"seed": [0, 1]}'),
        ("PARAMETER_RANGES", '{"temperature": [1, 0]}'),
        ("PARAMETER_RANGES", '{"temperature": 1}'),
        ("TRUSTED_PROXIES", "-1"),
        ("VISITOR_TOKENS_PER_DAY", "many"),
        ("COST_PER_DAY", "0"),
    ],
)
def test_an_invalid_access_setting_is_a_problem(name: str, wrong: str) -> None:
    (problem,) = read(**{name: wrong}).problems
    assert problem.where == name


def test_access_settings_are_read() -> None:
    settings = read(
        ALLOWED_ORIGINS="https://A.example/, https://b.example:8443",
        PARAMETER_RANGES='{"temperature": [0, 1.5], "max_tokens": [1, 64]}',
        ALLOWED_MODELS="org/one, two",
    )
    assert settings.problems == ()
    assert read(ALLOWED_HOSTS="Chat.Example., *.b.example, *, [::1]").allowed_hosts == (
        "chat.example", "*.b.example", "*", "::1",
    )  # fmt: skip
    assert settings.allowed_origins == ("https://a.example", "https://b.example:8443")
    assert settings.parameter_ranges == {"temperature": (0, 1.5), "max_tokens": (1, 64)}
    assert settings.allowed_models == ("org/one", "two")
    assert settings.limited
    assert not read().limited


@pytest.mark.parametrize(
    "variables",
    [
        {"ACCESS_TOKEN": "t"}, {"SIGN_IN": "huggingface"}, {"ALLOWED_USERS": "ann"},
        {"ADMIN_PASSWORD": "p"}, {"TRUSTED_PROXIES": "1"}, {"SPACE_ID": "me/demo"},
        {"SPACE_HOST": "me.hf.space"}, {"ALLOWED_HOSTS": "a.example"}, {"ALLOWED_HOSTS": "*"},
        {"ALLOWED_ORIGINS": "https://a.example"}, {"GATEWAY_API_KEYS": "key-of-ann"},
        {"PROXY_API_KEY": "key-of-ann"}, {"GRADIO_ROOT_PATH": "/chat"},
        {"REDIS_URL": "redis://localhost"}, {"VISITOR_MESSAGES_PER_MINUTE": "5"},
        {"VISITOR_TOKENS_PER_DAY": "5"}, {"GRADIO_SERVER_NAME": "0.0.0.0"},
        {"GRADIO_SERVER_NAME": "::"}, {"GRADIO_SERVER_NAME": "192.168.1.5"},
        {"GRADIO_SERVER_NAME": "mybox"},
    ],
)  # fmt: skip
def test_any_sign_of_protection_or_publication_counts(variables: dict[str, str]) -> None:
    assert read(**variables).published


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_a_server_on_loopback_without_such_a_sign_is_not_published(name: str) -> None:
    assert not read(GRADIO_SERVER_NAME=name, TOKENS_PER_DAY="5", DEBUG="true").published
