"""The command `check`: its output, its exit status, and that it never prints a secret."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.check import messages, report
from akash_gradio.check.probe import Level
from akash_gradio.check.probe_request import ProbeRequest, chat_request
from akash_gradio.check.probes.registry import OBSERVATIONS, PROBES, cost_of, probes_of
from akash_gradio.check.target import WRONG_KEY, Target
from akash_gradio.cli.errors import MESSAGES
from akash_gradio.cli.main import main
from akash_gradio.config.endpoints import EndpointSettings
from tests.check.helpers import KEY
from tests.stubs import Behavior, StubThread
from tests.stubs.compliant import compliant
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import error, to_json

Capsys = pytest.CaptureFixture[str]
ROOT = Path(__file__).resolve().parents[2]
HEADER = "quietriverstone"
SHAPELESS = "correcthorsebattery"
"""A key of plain letters, which no pattern recognizes as a secret."""


def endpoints(*stubs: StubThread, key: str = KEY, **fields: Any) -> dict[str, str]:
    entries = [
        {"url": stub.url, "apiKey": "$K", "models": ["m"], "name": f"gpu-{number}", **fields}
        for number, stub in enumerate(stubs, start=1)
    ]
    return {"ENDPOINTS": json.dumps(entries), "K": key, "H": HEADER}


def test_a_healthy_endpoint_exits_with_0(capsys: Capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        assert main(["check", "gpu-1", "--quick"], endpoints(stub)) == 0
    output = capsys.readouterr().out
    assert "18 passed, 0 warnings, 0 failed, 0 not run" in output


def test_the_cost_is_printed_first(capsys: Capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        main(["check", "gpu-1", "--quick"], endpoints(stub))
    cost = cost_of(probes_of(Level.QUICK))
    first = capsys.readouterr().out.splitlines()[0]
    assert f"at most {cost.calls} calls" in first
    assert f"{cost.tokens_out:,} out" in first


def test_a_check_stays_within_its_announced_cost() -> None:
    for level, flag in ((Level.QUICK, "--quick"), (Level.FULL, "--full")):
        with StubThread(compliant(), key=KEY) as stub:
            main(["check", "gpu-1", flag], endpoints(stub))
            assert len(stub.requests) <= cost_of(probes_of(level)).calls
            limits = [request.json.get("max_tokens", 10_000) for request in stub.chats]
            assert sum(limits) <= cost_of(probes_of(level)).tokens_out


def test_a_failure_exits_with_1_and_prints_the_fix(capsys: Capsys) -> None:
    with StubThread("html_with_200") as stub:
        assert main(["check", stub.url, "--quick"], {}) == 1
    output = capsys.readouterr().out
    assert messages.ANSWER_FAILURES["html"].fix in output
    assert f"curl -sS -N -i {stub.url}/chat/completions" in output


def test_all_checks_every_endpoint_and_one_failure_is_enough(capsys: Capsys) -> None:
    with StubThread(compliant(), key=KEY) as healthy, StubThread("status_500") as failing:
        assert main(["check", "--quick"], endpoints(healthy, failing)) == 1
    output = capsys.readouterr().out
    assert "gpu-1: 18 passed" in output
    assert "gpu-2:" in output


def test_json_is_one_document_on_standard_output(capsys: Capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        main(["check", "all", "--quick", "--json"], endpoints(stub))
    (document,) = json.loads(capsys.readouterr().out)["endpoints"]
    assert (document["endpoint"], document["model"], document["ok"]) == ("gpu-1", "m", True)
    assert document["counts"] == {"pass": 18, "warn": 0, "fail": 0, "skipped": 0}
    assert document["capabilities"]["stream_options"] is True
    assert {finding["code"] for finding in document["findings"]} >= {"key.ok", "stream.ok"}


def test_the_key_of_an_address_comes_from_the_named_variable(capsys: Capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        status = main(
            ["check", stub.url, "--model", "m", "--key-env", "MY_KEY", "--quick"], {"MY_KEY": KEY}
        )
    assert status == 0
    assert KEY not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environment", "message"),
    [
        (["all"], {}, MESSAGES["no_endpoints"]),
        (["unknown"], {"ENDPOINTS": '[{"url": "https://h"}]'}, "Available endpoints: endpoint-1."),
        (["https://h", "--key-env", "NOT_SET"], {}, "NOT_SET (--key-env) is not set"),
        (["ftp://h"], {}, "The URL must start with https:// or http://"),
        (["https://me:pass@h"], {}, "The URL must not contain a user or password"),
        (["gpu", "--key-env", "K"], {"K": "x"}, MESSAGES["key_without_address"]),
    ],
)
def test_misuse_exits_with_2_and_a_message(
    capsys: Capsys, arguments: list[str], environment: dict[str, str], message: str
) -> None:
    assert main(["check", *arguments], environment) == 2
    printed = capsys.readouterr()
    assert message in printed.err
    assert "pass@" not in printed.err
    assert printed.out == ""


async def repeats_secrets(x: Exchange) -> None:
    """Repeat every header in the error, as some proxies do."""
    header, key = x.request.headers.get("x-secret"), x.request.headers.get("authorization")
    message = f"{header} \x1b[31m and {key} and {dict(x.request.headers)}"
    if b"stream_options" in x.request.body:
        await x.open_stream(f"text/{SHAPELESS}")
        await x.send(to_json(error(message)))
        await x.end()
    else:
        await x.reply(
            to_json(error(message, "invalid_probe_requesterror")),
            400,
            location=f"http://x/{SHAPELESS}",
        )


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("behavior", [compliant(), repeats_secrets, "status_401"])
def test_no_secret_is_printed_whatever_the_endpoint_sends(
    capsys: Capsys, flags: list[str], behavior: object
) -> None:
    with StubThread(behavior, models=(f"m-{SHAPELESS}", "m")) as stub:
        environment = endpoints(stub, key=SHAPELESS, models=None, customHeaders={"X-Secret": "$H"})
        main(["check", "gpu-1", "--full", *flags], environment)
    printed = capsys.readouterr()
    for secret in (SHAPELESS, HEADER):
        assert secret not in printed.out + printed.err
    assert "\x1b" not in printed.out + printed.err
    assert "$KEY" in printed.out or isinstance(behavior, Behavior)


# ── printed commands ────────────────────────────────────────────────────────


def a_target(url: str, **fields: Any) -> Target:
    values = {"url": url, "name": "x", "apiKey": KEY, **fields}
    return Target(entry=EndpointSettings.model_validate(values))


@pytest.mark.parametrize(
    "probe_request",
    [
        ProbeRequest(path="/models"),
        chat_request(
            "m'; touch /tmp/pwned; '", ("user", "it's $HOME `id` \\ \n ü 👩‍🚀"), stream=True
        ),
        chat_request("m", repeated=("one two's ", 40)),
        chat_request("m", ("user", "x"), wrong_key=True),
    ],
    ids=["get", "quoted", "long", "wrong key"],
)
def test_the_printed_command_repeats_the_probe_requestin_a_shell(
    probe_request: ProbeRequest, tmp_path: Path
) -> None:
    with StubThread(compliant()) as stub:
        target = a_target(stub.url, customHeaders={"X-Team": HEADER})
        command = target.curl(probe_request).replace(
            "curl ", f"{shlex.quote(str(fake_curl(tmp_path)))} ", 1
        )
        if probe_request.repeated:
            command = command.replace("| curl ", f"| {shlex.quote(str(tmp_path / 'curl'))} ")
        done = subprocess.run(
            ["sh", "-c", command],
            env={"PATH": "/usr/bin:/bin", "KEY": KEY, "X_TEAM": HEADER},
            capture_output=True,
            timeout=30,
            check=True,
        )
    call = json.loads(done.stdout)
    assert f"{stub.url}{probe_request.path}" in call["arguments"]
    key = WRONG_KEY if probe_request.wrong_key else KEY
    assert f"Authorization: Bearer {key}" in call["arguments"]
    assert f"X-Team: {HEADER}" in call["arguments"]
    assert (json.loads(call["body"]) if call["body"] else None) == probe_request.body


def fake_curl(folder: Path) -> Path:
    """Create a curl that prints its arguments, so that none has to be installed."""
    path = folder / "curl"
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import json, sys\n"
        "arguments = sys.argv[1:]\n"
        "body = arguments[arguments.index('-d') + 1] if '-d' in arguments else ''\n"
        "body = sys.stdin.read() if body == '@-' else body\n"
        "print(json.dumps({'arguments': arguments, 'body': body}))\n"
    )
    path.chmod(0o755)
    return path


# ── all probes ──────────────────────────────────────────────────────────────


def test_every_probe_has_a_title_a_description_and_messages() -> None:
    names = [probe.name for probe in PROBES]
    assert sorted(messages.TITLES) == sorted(messages.DESCRIPTIONS) == sorted(names)
    assert sorted(names) == sorted({*messages.PROBES, *messages.TEXT_PROBES})
    for name in names:
        for text, fix in messages.messages_of(name).values():
            assert text.endswith((".", "}"))
            assert not fix or fix.endswith(".")


def test_required_probes_are_in_the_same_level() -> None:
    levels = {probe.name: probe.level for probe in PROBES}
    for probe in PROBES:
        assert all(levels[other] <= probe.level for other in probe.requires), probe.name


def test_observations_have_an_order_and_a_timeout() -> None:
    for observation in OBSERVATIONS.values():
        assert set(observation.after) <= set(OBSERVATIONS)
        assert 0 < observation.timeout_s <= 60
    assert {name for probe in PROBES for name in probe.observations} == set(OBSERVATIONS)


def test_all_timeouts_together_are_bounded() -> None:
    assert sum(observation.timeout_s for observation in OBSERVATIONS.values()) < 600


def test_the_documentation_lists_every_probe() -> None:
    text = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    table = text.split("<!-- probes -->")[1].split("## On the page")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (\w+) \|$", table, re.M)
    assert rows == [(p.name, messages.DESCRIPTIONS[p.name], p.level.name.lower()) for p in PROBES]
    assert report.announcement(messages.UNNAMED_ENDPOINT, Level.STANDARD) in text


def test_the_documentation_has_the_right_number_of_probes() -> None:
    standard, full = len(probes_of(Level.STANDARD)), len(probes_of(Level.FULL))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{standard} probes in about 15 s ({full} with `--full`)" in readme
    text = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    match = re.search(r"(\d+) passed, (\d+) warnings, (\d+) failed, (\d+) not run", text)
    assert match is not None
    assert sum(map(int, match.groups())) == standard
