from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from akash_gradio.cli.main import main
from akash_gradio.compare.journal import Journal
from tests.stubs.behaviors import echoes, respond_with
from tests.stubs.endpoint import Exchange
from tests.stubs.thread import StubThread

KEY = "sk-planted-Zq81xTnpW0"
ROOT = Path(__file__).resolve().parents[2]


class Compare:
    """Runs the command.

    Attributes:
        output: What the last command printed.
    """

    def __init__(
        self,
        environment: dict[str, str],
        options: dict[str, str],
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        self._environment, self._options, self._capsys = environment, options, capsys
        self.output = ""

    def __call__(self, *arguments: str, **changed: str) -> int:
        options = self._options | {f"--{name}": value for name, value in changed.items()}
        pairs = [part for pair in options.items() for part in pair]
        status = main(["compare", *pairs, *arguments], self._environment)
        captured = self._capsys.readouterr()
        self.output = captured.err + captured.out
        assert KEY not in self.output
        return status


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
    options = {"--models": "a,b", "--prompts": str(prompts), "--out": str(tmp_path / "r.json")}
    return Compare(environment, options, capsys)


def report(tmp_path: Path) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((tmp_path / "r.json").read_text())
    return data


def test_a_prompt_set_is_run_and_the_report_written(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    assert compare("--out", str(tmp_path / "r.html"), repeats="2") == 0
    rows = report(tmp_path)["rows"]
    assert [(r["prompt"], r["lane"], r["repeat"], r["answer"]) for r in rows[:3]] == [
        ("2", "a", 1, "Say one."), ("2", "b", 1, "Say one."), ("3", "a", 1, "Say two."),
    ]  # fmt: skip
    assert len(stub.chats) == 8
    output = compare.output
    assert output.index("Forecast: 8 calls, about") < output.index("8 of 8")
    assert output.index("8 of 8") < output.index("Wrote")
    for name in ("r.html", "r.json"):
        text = (tmp_path / name).read_text()
        assert stub.url not in text
        assert KEY not in text


def test_several_values_make_lanes_and_are_sent_to_the_endpoint(
    compare: Compare, stub: StubThread
) -> None:
    assert compare("--no-stream", models="a", temperature="0.2,0.9", seed="5", repeats="2") == 0
    sent = {(c.json["temperature"], c.json["seed"], c.json["stream"]) for c in stub.chats}
    assert sent == {(t, s, False) for t in (0.2, 0.9) for s in (5, 6)}


def test_a_lane_has_its_own_settings_and_a_model_may_have_two_lanes(
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


def test_a_lane_has_its_own_stops_penalties_and_effort(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    own = "a stop=END stop='two words' presence_penalty=-1 reasoning_effort=low"
    assert compare("--lane", own, models="") == 0
    (label,) = [lane["label"] for lane in report(tmp_path)["lanes"]]
    assert label == 'a, stop "END" "two words", presence penalty -1, effort low'
    sent = stub.chats[-1].json
    assert (sent["stop"], sent["presence_penalty"]) == (["END", "two words"], -1)
    assert sent["reasoning_effort"] == "low"


def test_failed_calls_are_retried_on_request(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    refuses = respond_with(400, {"error": {"message": "not this one"}})

    async def refuse_two(x: Exchange) -> None:
        await (echoes(x) if "two" in str(x.request.json) else refuses(x))

    stub.set_behavior(refuse_two)
    assert compare() == 1
    assert "To retry these, run the same command with --retry-failed." in compare.output
    before = len(stub.chats)
    assert compare() == 1
    assert len(stub.chats) == before
    stub.set_behavior("echoes")
    assert compare("--retry-failed") == 0
    assert "Retrying 2 failed calls." in compare.output
    assert len(stub.chats) == before + 2
    assert {row["outcome"] for row in report(tmp_path)["rows"]} == {"ok"}


def test_the_html_report_renders_answers_and_the_others_do_not(
    compare: Compare, prompts: Path, tmp_path: Path
) -> None:
    prompts.write_text("prompt\nSay **so**.\n")
    assert compare("--out", str(tmp_path / "r.html"), "--out", str(tmp_path / "r.md")) == 0
    assert "Say <strong>so</strong>." in (tmp_path / "r.html").read_text()
    assert (tmp_path / "r.md").read_text().count("Say **so**.") == 3


def test_a_second_start_repeats_no_call(compare: Compare, stub: StubThread) -> None:
    assert compare() == 0
    before = len(stub.chats)
    assert compare() == 0
    assert len(stub.chats) == before
    assert "4 of 4 calls are already done" in compare.output
    assert compare("--again") == 0
    assert len(stub.chats) == 2 * before


def test_the_file_of_another_run_is_not_overwritten(compare: Compare) -> None:
    assert compare() == 0
    assert compare(repeats="2") == 2
    assert "r.run belongs to another run" in compare.output


def test_a_failed_check_sets_the_exit_status(compare: Compare) -> None:
    assert compare("--check", "max_length=3") == 1
    assert "4 answers failed a check." in compare.output


def test_a_failing_endpoint_is_reported_and_the_report_written(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    stub.kill()
    assert compare() == 1
    assert {row["outcome"] for row in report(tmp_path)["rows"]} == {"AllEndpointsFailed"}
    assert "calls failed: no endpoint answered for" in compare.output


def test_changes_since_an_earlier_run_are_printed(
    compare: Compare, stub: StubThread, tmp_path: Path
) -> None:
    assert compare() == 0
    stub.set_behavior("perfect")
    assert compare("--earlier", str(tmp_path / "r.run"), out=str(tmp_path / "new.json")) == 1
    assert "4 cells changed since r.run." in compare.output
    assert "2, a: answer, checks\n" in compare.output


def test_a_forecast_sends_nothing(compare: Compare, stub: StubThread, tmp_path: Path) -> None:
    assert compare("--forecast") == 0
    assert "Forecast: 4 calls" in compare.output
    assert stub.chats == []
    assert not (tmp_path / "r.run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"models": "a,other"}, "No endpoint serves the model 'other'. Available models: a, b."),
        ({"out": "r.pdf"}, "r.pdf: the name of a report must end in .html"),
        ({"out": "/nowhere/r.html"}, "/nowhere: there is no such folder."),
        ({"prompts": "/nowhere.csv"}, "/nowhere.csv: No such file"),
        ({"check": "regex=("}, "--check regex=(: missing )"),
        ({"check": "contains"}, "--check contains: enter a value after =."),
        ({"check": "spelling"}, "--check spelling: use contains, regex"),
        ({"models": ","}, "That makes 0 lanes"),
        ({"lane": ""}, "--lane : name a model."),
        ({"lane": "a system='open"}, "--lane a system='open: No closing quotation."),
        ({"lane": "a tmp=1"}, "--lane a tmp=1: write NAME=VALUE; the names are temperature, top_p"),
        ({"lane": "a seed"}, "write NAME=VALUE"),
        ({"lane": "a top_p=0.1,0.2"}, "--lane a top_p=0.1,0.2: top_p: enter one number."),
        ({"lane": "a stop="}, "--lane a stop=: stop: enter a text."),
        ({"lane": "a stop=1 stop=2 stop=3 stop=4 stop=5"}, "stop: enter at most 4."),
        (
            {"lane": "a reasoning_effort=VERY"},
            "reasoning_effort: enter a word such as low or high.",
        ),
        ({"lane": "a seed=-1"}, "seed: enter a whole number from 0 to"),
        ({"lane": "a endpoint=us-9"}, "There is no endpoint 'us-9'. Available endpoints: eu-1."),
        ({"temperature": "0,.1,.2,.3,.4,.5,.6"}, "That makes 14 lanes; a run can have 1 to 12."),
    ],
)
def test_a_command_that_can_not_be_executed_is_rejected(
    compare: Compare, arguments: dict[str, str], message: str
) -> None:
    assert compare(**arguments) == 2
    assert message in compare.output


@pytest.mark.parametrize("arguments", [{"repeats": "0"}, {"temperature": "3"}, {"seed": "x"}])
def test_a_number_out_of_range_is_rejected(compare: Compare, arguments: dict[str, str]) -> None:
    with pytest.raises(SystemExit) as caught:
        compare(**arguments)
    assert caught.value.code == 2


def test_a_problem_in_the_prompt_set_has_its_row_and_column(
    compare: Compare, prompts: Path
) -> None:
    prompts.write_text('prompt,contains\nok,\n"open,\n')
    assert compare() == 2
    assert "The prompt set can't be used:\nrow 3, column 1: a quote is not closed" in compare.output


def test_a_run_that_was_stopped_by_ctrl_c_is_continued_later(
    environment: dict[str, str], prompts: Path, tmp_path: Path, stub: StubThread
) -> None:
    async def answer_four(x: Exchange) -> None:
        await (echoes(x) if len(stub.chats) <= 4 else asyncio.Event().wait())

    stub.set_behavior(answer_four)
    prompts.write_text("prompt\n" + "".join(f"p{n}\n" for n in range(6)))
    command = [
        sys.executable, "-m", "akash_gradio", "compare", "--models", "a,b", "--prompts",
        str(prompts), "--out", str(tmp_path / "r.json"),
    ]  # fmt: skip
    options: dict[str, Any] = {"cwd": ROOT, "env": {**os.environ, **environment}, "text": True}
    with subprocess.Popen(command, stderr=subprocess.PIPE, **options) as running:
        stub.wait_for_requests(8, within_s=30)
        running.send_signal(signal.SIGINT)
        output = running.communicate(timeout=30)[1]
    assert running.returncode == 130
    assert output.endswith("Stopped. Run the same command again to continue.\n")
    with closing(Journal.open(tmp_path / "r.run")) as journal:
        assert set(journal.outcomes().values()) == {"ok"}
        answered = len(journal.outcomes())
    assert answered == 4

    stub.set_behavior("echoes")
    subprocess.run(command, check=True, capture_output=True, timeout=60, **options)
    assert len(report(tmp_path)["rows"]) == 12
    assert len(stub.chats) == 8 + 12 - answered
