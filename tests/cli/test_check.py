"""The command: what it prints, how it exits, and that it never says a secret."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.__main__ import main
from akash_gradio.check import messages, report
from akash_gradio.check.probe import Level
from akash_gradio.check.probe_request import Ask, Key, chat
from akash_gradio.check.probes.registry import OBSERVATIONS, PROBES, chosen, cost_of
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from tests.check.helpers import KEY
from tests.stubs import StubThread
from tests.stubs.compliant import compliant
from tests.stubs.endpoint import Exchange
from tests.stubs.wire import error, to_json

ROOT = Path(__file__).resolve().parents[2]
HEADER = "quietriverstone"
SHAPELESS = "correcthorsebattery"
"""A key of plain letters, which nothing could know by its looks."""


def endpoints(*stubs: StubThread, key: str = KEY, **fields: Any) -> dict[str, str]:
    given = [
        {"url": stub.url, "apiKey": "$K", "models": ["m"], "name": f"gpu-{number}", **fields}
        for number, stub in enumerate(stubs, start=1)
    ]
    return {"ENDPOINTS": json.dumps(given), "K": key, "H": HEADER}


def test_an_endpoint_that_is_well_exits_with_0(capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        assert main(["check", "gpu-1", "--quick"], endpoints(stub)) == 0
    said = capsys.readouterr().out
    assert "18 passed, 0 warned, 0 failed, 0 not run" in said


def test_the_cost_is_said_before_anything_is_asked(capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        main(["check", "gpu-1", "--quick"], endpoints(stub))
    cost = cost_of(chosen(Level.QUICK))
    first = capsys.readouterr().out.splitlines()[0]
    assert f"at most {cost.calls} calls" in first
    assert f"{cost.tokens_out:,} out" in first


def test_a_check_never_asks_more_often_than_it_said() -> None:
    for level, flag in ((Level.QUICK, "--quick"), (Level.FULL, "--full")):
        with StubThread(compliant(), key=KEY) as stub:
            main(["check", "gpu-1", flag], endpoints(stub))
            assert len(stub.requests) <= cost_of(chosen(level)).calls
            limits = [seen.json.get("max_tokens", 10_000) for seen in stub.chats]
            assert sum(limits) <= cost_of(chosen(level)).tokens_out


def test_a_failure_exits_with_1_and_says_what_to_mend(capsys) -> None:
    with StubThread("html_with_200") as stub:
        assert main(["check", stub.url, "--quick"], {}) == 1
    said = capsys.readouterr().out
    assert messages.ANSWERS["html"].mend in said
    assert f"curl -sS -N -i {stub.url}/chat/completions" in said


def test_all_is_every_endpoint_and_one_failure_is_enough(capsys) -> None:
    with StubThread(compliant(), key=KEY) as well, StubThread("status_500") as ill:
        assert main(["check", "--quick"], endpoints(well, ill)) == 1
    said = capsys.readouterr().out
    assert "gpu-1: 18 passed" in said
    assert "gpu-2:" in said


def test_json_is_one_document_on_standard_output(capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        main(["check", "all", "--quick", "--json"], endpoints(stub))
    (one,) = json.loads(capsys.readouterr().out)["endpoints"]
    assert (one["endpoint"], one["model"], one["ok"]) == ("gpu-1", "m", True)
    assert one["counts"] == {"pass": 18, "warn": 0, "fail": 0, "skipped": 0}
    assert one["capabilities"]["stream_options"] is True
    assert {finding["code"] for finding in one["findings"]} >= {"key.ok", "stream.ok"}


def test_an_address_takes_its_key_from_the_variable_that_is_named(capsys) -> None:
    with StubThread(compliant(), key=KEY) as stub:
        told = main(
            ["check", stub.url, "--model", "m", "--key-env", "MY_KEY", "--quick"], {"MY_KEY": KEY}
        )
    assert told == 0
    assert KEY not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["all"], {}, messages.NONE_CONFIGURED),
        (["nobody"], {"ENDPOINTS": '[{"url": "https://h"}]'}, "there are: endpoint-1"),
        (["https://h", "--key-env", "NOT_SET"], {}, messages.KEY_UNSET),
        (["ftp://h"], {}, "start it with https:// or http://"),
        (["https://me:pass@h"], {}, "take the user and password out of it"),
        (["gpu", "--key-env", "K"], {"K": "x"}, messages.KEY_WITH_URL),
    ],
)
def test_misuse_exits_with_2_and_a_sentence(capsys, arguments, environment, says) -> None:
    assert main(["check", *arguments], environment) == 2
    told = capsys.readouterr()
    assert says in told.err
    assert "pass@" not in told.err
    assert told.out == ""


async def repeats_secrets(x: Exchange) -> None:
    """Puts every header into its error, as some proxies do."""
    header, key = x.request.headers.get("x-secret"), x.request.headers.get("authorization")
    said = f"{header} \x1b[31m and {key} and {dict(x.request.headers)}"
    if b"stream_options" in x.request.body:
        await x.open_stream(f"text/{SHAPELESS}")
        await x.send(to_json(error(said)))
        await x.end()
    else:
        await x.reply(
            to_json(error(said, "invalid_request_error")), 400, location=f"http://x/{SHAPELESS}"
        )


@pytest.mark.parametrize("flags", [[], ["--json"]])
@pytest.mark.parametrize("behavior", ["well", repeats_secrets, "status_401"])
def test_no_secret_is_printed_whatever_the_endpoint_says(capsys, flags, behavior) -> None:
    act = compliant() if behavior == "well" else behavior
    with StubThread(act, models=(f"m-{SHAPELESS}", "m")) as stub:
        given = endpoints(stub, key=SHAPELESS, models=None, customHeaders={"X-Secret": "$H"})
        main(["check", "gpu-1", "--full", *flags], given)
    told = capsys.readouterr()
    for secret in (SHAPELESS, HEADER):
        assert secret not in told.out + told.err
    assert "\x1b" not in told.out + told.err
    assert "$KEY" in told.out or behavior == "well"


# ── the commands that it prints ─────────────────────────────────────────────


def a_target(url: str, **fields: Any) -> Target:
    given = {"url": url, "name": "x", "apiKey": KEY, **fields}
    return Target(entry=EndpointSettings.model_validate(given))


@pytest.mark.parametrize(
    "ask",
    [
        Ask(path="/models"),
        chat("m'; touch /tmp/pwned; '", ("user", "it's $HOME `id` \\ \n ü 👩‍🚀"), stream=True),
        chat("m", repeated=("one two's ", 40)),
        chat("m", ("user", "x"), key=Key.WRONG),
    ],
    ids=["get", "quoted", "long", "wrong key"],
)
def test_the_printed_command_repeats_the_request_in_a_shell(ask: Ask, tmp_path) -> None:
    with StubThread(compliant()) as stub:
        target = a_target(stub.url, customHeaders={"X-Team": HEADER})
        command = target.curl(ask).replace("curl ", f"{shlex.quote(str(fake_curl(tmp_path)))} ", 1)
        if ask.repeated:
            command = command.replace("| curl ", f"| {shlex.quote(str(tmp_path / 'curl'))} ")
        done = subprocess.run(
            ["sh", "-c", command],
            env={"PATH": "/usr/bin:/bin", "KEY": KEY, "X_TEAM": HEADER},
            capture_output=True,
            timeout=30,
            check=True,
        )
    given = json.loads(done.stdout)
    assert f"{stub.url}{ask.path}" in given["arguments"]
    wanted = "akash-gradio-check-wrong-key" if ask.key is Key.WRONG else KEY
    assert f"Authorization: Bearer {wanted}" in given["arguments"]
    assert f"X-Team: {HEADER}" in given["arguments"]
    assert (json.loads(given["body"]) if given["body"] else None) == ask.body


def fake_curl(folder: Any) -> Any:
    """A curl that says what it was called with, so that none has to be installed."""
    path = folder / "curl"
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import json, sys\n"
        "words = sys.argv[1:]\n"
        "body = words[words.index('-d') + 1] if '-d' in words else ''\n"
        "body = sys.stdin.read() if body == '@-' else body\n"
        "print(json.dumps({'arguments': words, 'body': body}))\n"
    )
    path.chmod(0o755)
    return path


# ── what holds for all probes ───────────────────────────────────────────────


def test_every_probe_has_a_title_a_question_and_sentences() -> None:
    names = [probe.name for probe in PROBES]
    assert sorted(messages.TITLES) == sorted(messages.ASKS) == sorted(names)
    assert sorted(names) == sorted({*messages.PROBES, *messages.TEXTS})
    for name in names:
        for says, mend in messages.sentences(name).values():
            assert says.endswith((".", "}"))
            assert not mend or mend.endswith(".")


def test_what_a_probe_needs_is_in_its_level() -> None:
    levels = {probe.name: probe.level for probe in PROBES}
    for probe in PROBES:
        assert all(levels[need] <= probe.level for need in probe.needs), probe.name


def test_observations_have_their_place_and_their_deadline() -> None:
    for one in OBSERVATIONS.values():
        assert set(one.after) <= set(OBSERVATIONS)
        assert 0 < one.deadline_s <= 60
    assert {name for probe in PROBES for name in probe.sees} == set(OBSERVATIONS)


def test_the_sum_of_the_deadlines_is_an_end_that_comes() -> None:
    assert sum(one.deadline_s for one in OBSERVATIONS.values()) < 600


def test_the_document_lists_every_probe_as_it_is() -> None:
    text = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    table = text.split("<!-- probes -->")[1].split("## What becomes")[0]
    rows = re.findall(r"^\| `([\w-]+)` \| (.+) \| (\w+) \|$", table, re.M)
    assert rows == [(p.name, messages.ASKS[p.name], p.level.name.lower()) for p in PROBES]
    assert report.beforehand(messages.BY_URL, Level.STANDARD) in text


def test_the_documents_count_the_probes_that_a_check_makes() -> None:
    usual, full = len(chosen(Level.STANDARD)), len(chosen(Level.FULL))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"{usual} probes in about 15 s ({full} with `--full`)" in readme
    text = (ROOT / "docs" / "checking.md").read_text(encoding="utf-8")
    counted = re.search(r"(\d+) passed, (\d+) warned, (\d+) failed, (\d+) not run", text)
    assert counted is not None
    assert sum(map(int, counted.groups())) == usual
