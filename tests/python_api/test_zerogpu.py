"""Functions under `@spaces.GPU`: the real package over a fake device API, without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import akash_gradio as ag

SPACE = Path(__file__).with_name("zerogpu_space.py")
ROOT = SPACE.parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    run = subprocess.run(
        [sys.executable, str(SPACE), str(tmp_path_factory.mktemp("space"))],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "EMBEDDED": "off"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert run.stdout, run.stderr[-4000:]
    parsed: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return parsed


def test_a_function_answers_from_its_worker(results: dict[str, Any]) -> None:
    assert results["answer"] == "in a worker with 20 tokens"


def test_the_visitors_token_and_the_duration_reach_the_scheduler(results: dict[str, Any]) -> None:
    scheduled = results["scheduled"]
    assert scheduled["token"] == "a.eyJ1c2VyIjoiYW5uIn0.c"
    shorter, longer = scheduled["durationSeconds"], results["default_duration"]["durationSeconds"]
    assert float(shorter) / float(longer) == pytest.approx(7 / 108, rel=0.1)


@pytest.mark.parametrize("moment", ["generation", "prefill"])
def test_stop_ends_the_generator_in_its_worker(results: dict[str, Any], moment: str) -> None:
    assert results[moment] == moment
    assert results[f"free_after_{moment}"]


def test_a_stopped_call_counts_until_it_has_ended(results: dict[str, Any]) -> None:
    assert results["busy_in_prefill"]
    assert results["busy_in_queue"]
    assert results["free_after_queue"]


def test_a_closed_connection_is_closed_although_workers_run(results: dict[str, Any]) -> None:
    assert results["client_sees_end"]


def test_an_async_function_is_refused_in_one_line(results: dict[str, Any]) -> None:
    assert "@spaces.GPU" in results["refused"]
    assert "\n" not in results["refused"]


def test_the_duration_covers_the_requested_tokens() -> None:
    duration = ag.gpu_duration(20, start_s=5, max_tokens=1000)
    assert duration([], max_tokens=100) == 10
    assert duration([], temperature=0.5) == 55
