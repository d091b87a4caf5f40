from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.__main__ import main
from akash_gradio.compare.journal import Journal
from tests.stubs.behaviors import echoes, respond_with
from tests.stubs.endpoint import Exchange
from tests.stubs.thread import StubThread

KEY = "sk-planted-Zq81xTnpW0"
ROOT = Path(__file__).resolve().parents[2]
Compare = Callable[..., int]


@pytest.fixture
def stub() -> Iterator[StubThread]:
    with StubThread("echoes") as endpoint:
        yield endpoint


@pytest.fixture
def environment(stub: StubThread) -> dict[str, str]:
    entry = {"name": "eu-1", "url": stub.url, "apiKey": KEY, "models": ["a", "b"]}
    return {"ENDPOINTS": json.dumps([entry]), "RETRY_ATTEMPTS": "0", "EMBEDDED": "off"}


@pytest.fixture
def prompts(tmp_path: Path) -> Path:
    path = tmp_path / "set.csv"
    path.write_text("prompt,contains\nSay one.,one\nSay two.,two\n")
    return path


@pytest.fixture
def compare(
    environment: dict[str, str], prompts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Compare:
    """Runs the command; `told` has what it said at last."""

    def run(*arguments: str, **changed: str) -> int:
        asked = {"--models": "a,b", "--prompts": str(prompts), "--out": str(tmp_path / "r.json")}
        asked |= {f"--{name}": value for name, value in changed.items()}
        named = [part for pair in asked.items() for part in pair]
        status = main(["compare", *named, *arguments], environment)
        said = capsys.readouterr()
        run.told = said.err + said.out  # type: ignore[attr-defined]
        return status

    return run


def told(compare: Compare) -> str:
    text: str = compare.told  # type: ignore[attr-defined]
    assert KEY not in text
    return text


def report(tmp_path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())
    return found


def test_a_set_is_asked_and_the_report_written(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    assert compare("--out", str(tmp_path / "r.html"), repeats="2") == 0
    rows = report(tmp_path)["rows"]
    assert [(r["prompt"], r["lane"], r["repeat"], r["answer"]) for r in rows[:3]] == [
        ("2", "a", 1, "Say one."), ("2", "b", 1, "Say one."), ("3", "a", 1, "Say two."),
    ]  # fmt: skip
    assert len(stub.chats) == 8
    said = told(compare)
    assert said.index("Forecast: 8 calls, about") < said.index("8 of 8") < said.index("Written")
    for name in ("r.html", "r.json"):
        text = (tmp_path / name).read_text()
        assert stub.url not in text
        assert KEY not in text


def test_parameters_make_lanes_and_go_to_the_endpoint(compare: Compare, stub: StubThread) -> None:
    assert compare("--no-stream", models="a", temperature="0.2,0.9", seed="5", repeats="2") == 0
    sent = {(c.json["temperature"], c.json["seed"], c.json["stream"]) for c in stub.chats}
    assert sent == {(t, s, False) for t in (0.2, 0.9) for s in (5, 6)}


def test_a_lane_has_what_is_its_own_and_may_be_there_twice(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    own = (
        "a temperature=0 top_p=0.5 max_tokens=9 seed=3 system='Be \"brief\", please.' endpoint=eu-1"
    )
    assert compare("--lane", own, "--lane", "a", models="b", temperature="0.2,0.9") == 0
    assert [lane["label"] for lane in report(tmp_path)["lanes"]] == [
        "b, temperature 0.2, no system prompt",
        "b, temperature 0.9, no system prompt",
        'a, temperature 0, top_p 0.5, max tokens 9, seed 3, on eu-1, system “Be "brief", please.”',
        "a, temperature 0.2, no system prompt",
        "a, temperature 0.9, no system prompt",
    ]
    (sent, _) = [chat.json for chat in stub.chats if chat.json.get("seed") == 3]
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0, 0.5, 9)
    assert sent["messages"][0] == {"role": "system", "content": 'Be "brief", please.'}


def test_a_lane_has_stops_penalties_and_an_effort_of_its_own(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    own = "a stop=END stop='two words' presence_penalty=-1 reasoning_effort=low"
    assert compare("--lane", own, models="") == 0
    (label,) = [lane["label"] for lane in report(tmp_path)["lanes"]]
    assert label == 'a, stop "END" "two words", presence penalty -1, effort low'
    sent = stub.chats[-1].json
    assert (sent["stop"], sent["presence_penalty"]) == (["END", "two words"], -1)
    assert sent["reasoning_effort"] == "low"


def test_what_failed_is_asked_again_on_request(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    refuses = respond_with(400, {"error": {"message": "not this one"}})

    async def two_alone(x: Exchange) -> None:
        await (echoes(x) if "two" in str(x.request.json) else refuses(x))

    stub.set_behavior(two_alone)
    assert compare() == 1
    assert "The same command with --retry-failed asks these again." in told(compare)
    before = len(stub.chats)
    assert compare() == 1
    assert len(stub.chats) == before
    stub.set_behavior("echoes")
    assert compare("--retry-failed") == 0
    assert "Asked again: 2 failed calls." in told(compare)
    assert len(stub.chats) == before + 2
    assert {row["outcome"] for row in report(tmp_path)["rows"]} == {"ok"}


def test_the_html_shows_answers_as_they_are_read_and_the_others_as_they_came(
    compare: Compare, prompts: Path, tmp_path: Path
) -> None:
    prompts.write_text("prompt\nSay **so**.\n")
    assert compare("--out", str(tmp_path / "r.html"), "--out", str(tmp_path / "r.md")) == 0
    assert "Say <strong>so</strong>." in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.md").read_text().count("Say **so**.") == 3


def test_started_again_it_asks_nothing_twice(compare: Compare, stub: StubThread) -> None:
    assert compare() == 0
    before = len(stub.chats)
    assert compare() == 0
    assert len(stub.chats) == before
    assert "4 of 4 calls are answered already" in told(compare)
    assert compare("--again") == 0
    assert len(stub.chats) == 2 * before


def test_the_record_of_another_run_is_not_written_over(compare: Compare) -> None:
    assert compare() == 0
    assert compare(repeats="2") == 2
    assert "r.run is the record of another run" in told(compare)


def test_an_answer_that_fails_its_check_is_told_by_the_status(compare: Compare) -> None:
    assert compare("--check", "max_length=3") == 1
    assert "4 answers failed a check." in told(compare)


def test_an_endpoint_that_dies_is_told_and_the_report_is_there(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    stub.kill()
    assert compare() == 1
    assert {row["outcome"] for row in report(tmp_path)["rows"]} == {"AllEndpointsFailed"}
    assert "4 times: no endpoint answered for" in told(compare) or "times: " in told(compare)


def test_what_changed_since_an_earlier_run_is_told(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    assert compare() == 0
    stub.set_behavior("perfect")
    assert compare("--earlier", str(tmp_path / "r.run"), out=str(tmp_path / "new.json")) == 1
    assert "4 cells changed since r.run." in told(compare)
    assert "2, a: answer, checks\n" in told(compare)


def test_a_forecast_alone_asks_nothing(compare: Compare, stub: StubThread, tmp_path: Path) -> None:
    assert compare("--forecast") == 0
    assert "Forecast: 4 calls" in told(compare)
    assert stub.chats == []
    assert not (tmp_path / "r.run").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"models": "a,nobody"}, "No endpoint serves the model 'nobody'. There are: a, b."),
        ({"out": "r.pdf"}, "r.pdf: a report ends in .html, .md, .csv or .json."),
        ({"out": "/nowhere/r.html"}, "/nowhere: there is no such folder."),
        ({"prompts": "/nowhere.csv"}, "/nowhere.csv: No such file"),
        ({"check": "regex=("}, "--check regex=(: missing )"),
        ({"check": "contains"}, "--check contains: write what after =."),
        ({"check": "spelling"}, "--check spelling: there are contains, regex"),
        ({"models": ","}, "That is 0 lanes"),
        ({"lane": ""}, "--lane : name a model."),
        ({"lane": "a system='open"}, "--lane a system='open: No closing quotation."),
        ({"lane": "a tmp=1"}, "--lane a tmp=1: write NAME=VALUE; the names are temperature, top_p"),
        ({"lane": "a seed"}, "write NAME=VALUE"),
        ({"lane": "a top_p=0.1,0.2"}, "--lane a top_p=0.1,0.2: top_p: write one number."),
        ({"lane": "a stop="}, "--lane a stop=: stop: write a text."),
        ({"lane": "a stop=1 stop=2 stop=3 stop=4 stop=5"}, "stop: write at most 4."),
        ({"lane": "a reasoning_effort=VERY"}, "reasoning_effort: write a word, as low or high."),
        ({"lane": "a seed=-1"}, "seed: write a whole number from 0 to"),
        ({"lane": "a endpoint=us-9"}, "There is no endpoint 'us-9'. There are: eu-1."),
        ({"temperature": "0,.1,.2,.3,.4,.5,.6"}, "That is 14 lanes; a run has 1 to 12."),
    ],
)
def test_wrong_use_is_told(compare: Compare, arguments: dict[str, str], says: str) -> None:
    assert compare(**arguments) == 2
    assert says in told(compare)


@pytest.mark.parametrize("arguments", [{"repeats": "0"}, {"temperature": "3"}, {"seed": "x"}])
def test_a_number_out_of_range_is_told(compare: Compare, arguments: dict[str, str]) -> None:
    with pytest.raises(SystemExit) as told_:
        compare(**arguments)
    assert told_.value.code == 2


def test_a_mistake_in_the_set_is_told_by_row_and_column(compare: Compare, prompts: Path) -> None:
    prompts.write_text('prompt,contains\nok,\n"open,\n')
    assert compare() == 2
    assert "The prompt set: row 3, column 1: a quote is never closed" in told(compare)


def test_stopped_by_ctrl_c_it_goes_on_later(
    environment: dict[str, str], prompts: Path, tmp_path: Path, stub: StubThread
) -> None:
    async def four_and_no_more(x: Exchange) -> None:
        await (echoes(x) if len(stub.chats) <= 4 else asyncio.Event().wait())

    stub.set_behavior(four_and_no_more)
    prompts.write_text("prompt\n" + "".join(f"p{n}\n" for n in range(6)))
    command = [
        sys.executable, "-m", "akash_gradio", "compare", "--models", "a,b", "--prompts",
        str(prompts), "--out", str(tmp_path / "r.json"),
    ]  # fmt: skip
    options = {"cwd": ROOT, "env": {**os.environ, **environment}, "text": True}
    with subprocess.Popen(command, stderr=subprocess.PIPE, **options) as running:
        stub.wait_for_requests(8, within_s=30)
        running.send_signal(signal.SIGINT)
        said = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert said.endswith("Stopped. The same command goes on from here.\n")
    with closing(Journal.open(tmp_path / "r.run")) as kept:
        assert set(kept.outcomes().values()) == {"ok"}
        answered = len(kept.outcomes())
    assert answered == 4

    stub.set_behavior("echoes")
    subprocess.run(command, check=True, capture_output=True, timeout=60, **options)
    assert len(report(tmp_path)["rows"]) == 12
    assert len(stub.chats) == 8 + 12 - answered
