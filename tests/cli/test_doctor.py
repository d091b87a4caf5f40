"""The findings of `akash-gradio doctor`: for each, settings with it and settings without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.cli import doctor
from akash_gradio.cli.audit import TEXTS, Audit, Level, find_weaknesses
from akash_gradio.config.settings import read_settings
from akash_gradio.domain.model import ModelCard

ENDPOINT = {"API_ENDPOINT": "https://one.example/v1", "API_KEY": "sk-planted-key"}
TOKEN = {"ACCESS_TOKEN": "a-token-of-24-characters"}
LIMITS = {"VISITOR_TOKENS_PER_DAY": "20000", "TOKENS_PER_DAY": "2000000"}
PUBLIC = {"GRADIO_SERVER_NAME": "0.0.0.0", "DATA_DIR": "/nonexistent"}
PROXY = {"TRUSTED_PROXIES": "1", "ALLOWED_HOSTS": "chat.example", "DATA_DIR": "/nonexistent"}
Case = tuple[str, Mapping[str, str], Mapping[str, str]]
CASES: tuple[Case, ...] = (
    ("no_limits", PUBLIC, {**PUBLIC, **LIMITS}),
    ("no_limits", {"SPACE_ID": "me/demo"}, {"SPACE_ID": "me/demo", **TOKEN}),
    ("no_limits", {"TRUSTED_PROXIES": "1"}, {}),
    ("no_visitor_limits", {**PUBLIC, "TOKENS_PER_DAY": "5"}, {**PUBLIC, **LIMITS}),
    (
        "no_day_budget",
        {**PUBLIC, "VISITOR_TOKENS_PER_DAY": "5"},
        {**PUBLIC, "VISITOR_TOKENS_PER_DAY": "5", "COST_PER_DAY": "5"},
    ),
    ("no_prices", {"COST_PER_DAY": "5"}, {"COST_PER_DAY": "5", "ALLOWED_MODELS": "priced"}),
    ("proxy_not_trusted", {"GRADIO_ROOT_PATH": "/chat"}, {"GRADIO_ROOT_PATH": "/chat", **PROXY}),
    ("proxy_not_trusted", {"SPACE_ID": "a/b"}, {"SPACE_ID": "a/b", "TRUSTED_PROXIES": "1"}),
    ("proxy_not_trusted", {"ALLOWED_HOSTS": "a.example"}, {**PUBLIC, "ALLOWED_HOSTS": "a.example"}),
    ("proxy_bypassed", {**PUBLIC, **PROXY}, PROXY),
    ("any_host", {"TRUSTED_PROXIES": "1"}, PROXY),
    ("any_host", {"TRUSTED_PROXIES": "1", "ALLOWED_HOSTS": "*"}, {"TRUSTED_PROXIES": "1", **TOKEN}),
    ("no_data_dir", {"GRADIO_SERVER_NAME": "0.0.0.0"}, PUBLIC),
    ("short_secret", {"ACCESS_TOKEN": "short"}, TOKEN),
    ("short_secret", {"ADMIN_PASSWORD": "short"}, {"ADMIN_PASSWORD": "long-enough-password"}),
    ("short_secret", {"SESSION_SECRET": "x" * 31}, {"SESSION_SECRET": "x" * 32}),
    ("short_secret", {"GATEWAY_API_KEYS": "short"}, {"GATEWAY_API_KEYS": "sk-long-enough-key"}),
    ("debug", {**PUBLIC, "DEBUG": "true"}, {"DEBUG": "true"}),
    ("redis_exposed", {"REDIS_URL": "redis://r.example"}, {"REDIS_URL": "rediss://:p@r.example"}),
    ("redis_exposed", {"REDIS_URL": "redis://:p@8.8.8.8"}, {"REDIS_URL": "redis://localhost"}),
    ("redis_exposed", {"REDIS_URL": "rediss://r.example"}, {"REDIS_URL": "redis://127.0.0.1"}),
    ("redis_without_password", {"REDIS_URL": "redis://redis"}, {"REDIS_URL": "redis://:p@redis"}),
    (
        "key_without_tls",
        {"API_ENDPOINT": "http://gpu.example/v1", "API_KEY": "k"},
        {"API_ENDPOINT": "http://192.168.1.5/v1", "API_KEY": "k"},
    ),
    (
        "key_without_tls",
        {"API_ENDPOINT": "http://gpu.example/v1", "API_KEY": "k"},
        {"API_ENDPOINT": "http://gpu.example/v1", "API_KEY": ""},
    ),
    ("invalid_setting", {"TOKENS_PER_DAY": "many"}, {"TOKENS_PER_DAY": "5"}),
)
CARDS = (
    ModelCard(id="priced", name="Priced", prompt_price=1.0, completion_price=2.0),
    ModelCard(id="unpriced", name="Unpriced"),
)


def codes(variables: Mapping[str, str], **options: Any) -> set[str]:
    settings = read_settings({**ENDPOINT, **variables}, None)
    audit = Audit(settings=settings, cards=CARDS, **options)
    return {finding.code for finding in find_weaknesses(audit)}


@pytest.mark.parametrize(("code", "weak", "fixed"), CASES)
def test_settings_with_and_without_a_weakness(
    code: str, weak: Mapping[str, str], fixed: Mapping[str, str]
) -> None:
    assert code in codes(weak)
    assert code not in codes(fixed)


def test_files_that_others_can_read(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("")
    for mode, expected in ((0o644, True), (0o640, True), (0o604, True), (0o600, False)):
        file.chmod(mode)
        assert ("file_readable" in codes({}, secret_files=[file])) is expected
    for mode, expected in ((0o755, True), (0o705, True), (0o700, False)):
        tmp_path.chmod(mode)
        assert ("folder_readable" in codes({"DATA_DIR": str(tmp_path)})) is expected


def test_replicas_need_redis() -> None:
    assert "replicas_without_redis" in codes({}, replicas=2)
    assert "replicas_without_redis" not in codes({}, replicas=1)
    assert "replicas_without_redis" not in codes({"REDIS_URL": "redis://localhost"}, replicas=2)


def test_every_finding_is_tested() -> None:
    tested = {code for code, _, _ in CASES}
    tested |= {"file_readable", "folder_readable", "replicas_without_redis"}
    assert tested == TEXTS.keys()


def test_the_default_settings_have_no_finding() -> None:
    assert codes({}) == set()


def test_the_documented_settings_of_a_public_page_have_no_serious_finding() -> None:
    variables = {
        **PUBLIC, **PROXY, "VISITOR_MESSAGES_PER_MINUTE": "6", "VISITOR_TOKENS_PER_DAY": "20000",
        "REQUESTS_AT_ONCE": "16", "TOKENS_PER_DAY": "2000000", "LONGEST_MESSAGE": "8000",
    }  # fmt: skip
    assert {code for code in codes(variables) if TEXTS[code].level is Level.SERIOUS} == set()


def run(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
    **variables: str,
) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    status = doctor.main(arguments, {**ENDPOINT, **variables})
    return status, capsys.readouterr().out


def test_the_command_reads_what_run_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    env_file = tmp_path / ".env"
    env_file.write_text("ACCESS_TOKEN=planted\n")
    env_file.chmod(0o644)
    status, text = run(tmp_path, monkeypatch, capsys, "--host", "0.0.0.0")
    assert status == 1
    assert "ACCESS_TOKEN can be guessed: it has 7 characters." in text
    assert "chmod 600 .env" in text
    assert "The page can be reached from other machines" in text
    assert "planted" not in text
    env_file.chmod(0o600)
    env_file.write_text("ACCESS_TOKEN=planted-planted-planted\n")
    assert run(tmp_path, monkeypatch, capsys, "--host", "0.0.0.0")[0] == 0  # only warnings


def test_as_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    status, text = run(tmp_path, monkeypatch, capsys, "--json", GRADIO_SERVER_NAME="0.0.0.0")
    findings = json.loads(text)["findings"]
    assert status == 1
    assert findings[0]["code"] == "no_limits"
    assert set(findings[0]) == {"code", "level", "title", "fix"}
    status, text = run(tmp_path, monkeypatch, capsys, "--json")
    assert (status, json.loads(text)) == (0, {"findings": []})


def test_a_file_that_endpoints_names_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "endpoints.json"
    file.write_text(json.dumps([{"url": "https://a.example/v1", "apiKey": "k", "models": ["m"]}]))
    file.chmod(0o644)
    variables = {"API_ENDPOINT": "", "API_KEY": "", "ENDPOINTS": str(file)}
    assert "endpoints.json" in run(tmp_path, monkeypatch, capsys, **variables)[1]
