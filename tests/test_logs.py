from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from typing import TextIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from akash_gradio.config.settings import read_settings
from akash_gradio.logs import KeyValueFormatter, build_log_handler, configure_logging

KEY = "correct-horse-battery"
HEADER = "planted-header-value"


@pytest.fixture
def stream() -> Iterator[TextIO]:
    """Restore the package's logger after a test that writes to this stream."""
    ours = logging.getLogger("akash_gradio")
    before = (ours.handlers, ours.propagate, ours.level)
    yield io.StringIO()
    ours.handlers, ours.propagate = before[0], before[1]
    ours.setLevel(before[2])


@pytest.fixture
def log(stream: io.StringIO) -> Callable[..., logging.Logger]:
    def configure(**environment: str) -> logging.Logger:
        configure_logging(read_settings(environment, None), stream)
        return logging.getLogger("akash_gradio.gateway.gateway")

    return configure


ENDPOINT = f'[{{"url":"https://h","apiKey":"{KEY}","customHeaders":{{"X-Org":"{HEADER}"}}}}]'


def line(message: str = "reply.finished", **facts: object) -> str:
    record = logging.makeLogRecord({"msg": message, "levelname": "INFO", **facts})
    return KeyValueFormatter("%(levelname)s %(message)s").format(record)


def test_a_line_is_the_time_the_level_the_event_and_its_facts(
    log: Callable[..., logging.Logger], stream: io.StringIO
) -> None:
    log().info("reply.finished", extra={"endpoint": "akash-eu-1", "tokens": 512})
    stamp, _, rest = stream.getvalue().partition(" ")
    assert rest == "INFO reply.finished endpoint=akash-eu-1 tokens=512\n"
    assert [len(part) for part in stamp.split(":")] == [2, 2, 2]


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("plain", "plain"),
        (0.25, "0.25"),
        (None, "None"),
        ("two words", "'two words'"),
        ("a=b", "'a=b'"),
        ("", "''"),
        ("x' forged=1", '"x\' forged=1"'),
        ("a\nb", "'a\\nb'"),
        ("\x1b[31m", "'\\x1b[31m'"),
        ("a\u2028b", "'a\\u2028b'"),
    ],
)
def test_a_fact_is_one_word_or_quoted(value: object, written: str) -> None:
    assert line(fact=value) == f"INFO reply.finished fact={written}"


@given(st.text(), st.text())
def test_no_text_starts_a_new_line_or_controls_the_terminal(message: str, fact: str) -> None:
    assert line(message, fact=fact).isprintable()


def test_a_traceback_is_indented_and_escaped(
    log: Callable[..., logging.Logger], stream: io.StringIO
) -> None:
    logger = log()
    try:
        raise ValueError("x\n12:00:00 INFO login.ok\r\x1b[2J")
    except ValueError:
        logger.exception("reply.failed")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("ERROR reply.failed")
    assert any("ValueError" in entry for entry in rest)
    assert all(entry.startswith("    ") and entry.isprintable() for entry in rest)


def test_debug_lines_are_written_only_with_debug(
    log: Callable[..., logging.Logger], stream: io.StringIO
) -> None:
    log().debug("endpoint.selected")
    assert stream.getvalue() == ""
    log(DEBUG="true").debug("endpoint.selected")
    assert stream.getvalue().endswith("DEBUG endpoint.selected\n")


def test_configuring_twice_writes_each_line_once(
    log: Callable[..., logging.Logger], stream: io.StringIO
) -> None:
    log()
    log().info("once")
    assert stream.getvalue().count("once") == 1


def test_the_logs_of_other_libraries_are_unchanged(log: Callable[..., logging.Logger]) -> None:
    before = list(logging.getLogger().handlers)
    log()
    assert logging.getLogger().handlers == before
    assert logging.getLogger("akash_gradio").propagate is False


@pytest.mark.parametrize(
    ("environment", "secret"),
    [
        ({"ENDPOINTS": ENDPOINT}, KEY),
        ({"ENDPOINTS": ENDPOINT}, HEADER),
        ({"ENDPOINTS": ENDPOINT.replace(KEY, "$MY_KEY"), "MY_KEY": KEY}, KEY),
        ({"API_ENDPOINT": "https://h", "API_KEY": KEY}, KEY),
        ({"API_KEY": KEY}, KEY),
        ({"ACCESS_TOKEN": KEY}, KEY),
        ({"ADMIN_PASSWORD": KEY}, KEY),
        ({"SESSION_SECRET": KEY}, KEY),
        ({"OAUTH_CLIENT_SECRET": KEY}, KEY),
        ({"HF_TOKEN": KEY}, KEY),
        ({"PROXY_API_KEY": KEY}, KEY),
        ({"GATEWAY_API_KEYS": f"other,{KEY}"}, KEY),
        ({"REDIS_URL": f"redis://:{KEY}@h"}, f"redis://:{KEY}@h"),
        ({"DATABASE_URL": f"postgresql://u:{KEY}@h/d"}, f"postgresql://u:{KEY}@h/d"),
    ],
)
def test_secrets_are_removed_from_messages_facts_and_tracebacks(
    log: Callable[..., logging.Logger],
    stream: io.StringIO,
    environment: dict[str, str],
    secret: str,
) -> None:
    logger = log(**environment)
    logger.info("sent %s", secret, extra={"fact": f"a {secret}", "deep": {"k": [secret]}})
    try:
        raise ValueError(f"inner {secret}")
    except ValueError as cause:
        try:
            raise RuntimeError(f"outer {secret}") from cause
        except RuntimeError:
            logger.exception("failed", stack_info=True)
    assert stream.getvalue().count("[removed]") >= 5
    assert secret not in stream.getvalue()


def test_logs_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    handler = build_log_handler(read_settings({}, None))
    handler.handle(logging.makeLogRecord({"msg": "page.open", "levelname": "INFO"}))
    out, err = capsys.readouterr()
    assert (out, err.endswith("INFO page.open\n")) == ("", True)
