from __future__ import annotations

import json
from dataclasses import replace

import pytest

from akash_gradio.compare.checks import Check, CheckKind
from akash_gradio.compare.plan import Lane, Plan, plan_dict, plan_from
from akash_gradio.compare.prompt_set import Prompt
from akash_gradio.domain.chat import Default, Sampling
from tests.compare.fakes import plan

FULL = Plan(
    prompts=(
        Prompt(id="1", text="один", system="s", checks=(Check(kind=CheckKind.REGEX, value="^x"),)),
    ),
    lanes=(
        Lane(model="a", system="be brief", endpoint="eu-1"),
        Lane(
            model="b",
            sampling=Sampling(
                temperature=0.0,
                top_p=Default.ENDPOINT,
                max_tokens=Default.ENDPOINT,
                seed=7,
                stop=("x", "y"),
            ),
        ),
    ),
    repeats=3,
    seed=5,
    stream=False,
)


def test_every_prompt_is_sent_to_every_lane_as_often_as_requested() -> None:
    run_plan = plan("one", "two", "three", repeats=2)
    tasks = [run_plan.task(number) for number in run_plan.order()]
    seen = [(task.prompt.text, task.lane.model, task.repeat) for task in tasks]
    every = {(t, m, r) for t in ("one", "two", "three") for m in "ab" for r in (0, 1)}
    assert (len(seen), set(seen), run_plan.calls) == (12, every, 12)
    assert [task.number for task in tasks] == run_plan.order()


def test_a_prompt_is_sent_to_all_lanes_before_the_next_one() -> None:
    run_plan = plan("one", "two", repeats=2)
    rows = [(run_plan.task(n).repeat, run_plan.task(n).prompt.text) for n in run_plan.order()]
    assert rows[::2] == rows[1::2] == [(0, "one"), (0, "two"), (1, "one"), (1, "two")]


def test_the_order_depends_on_the_seed_and_favors_no_lane() -> None:
    run_plan = plan(*map(str, range(200)))
    assert run_plan.order() == run_plan.order()
    assert run_plan.order() != replace(run_plan, seed=1).order()
    first = [run_plan.lane_of(number) for number in run_plan.order()[::2]]
    assert 70 < first.count(0) < 130


def test_the_number_of_a_position_is_that_of_its_task() -> None:
    run_plan = plan("one", "two", "three", models="abc", repeats=2)
    for prompt in range(3):
        for lane in range(3):
            for repeat in range(2):
                task = run_plan.task(run_plan.number(prompt, lane, repeat))
                assert task.prompt is run_plan.prompts[prompt]
                assert (task.lane, task.repeat) == (run_plan.lanes[lane], repeat)


def test_each_repeat_sends_the_next_seed_if_there_is_one() -> None:
    sent = [
        FULL.task(FULL.number(0, lane, repeat)).lane.sampling.seed
        for lane in (0, 1)
        for repeat in range(3)
    ]
    assert sent == [Sampling().seed] * 3 + [7, 8, 9]


@pytest.mark.parametrize("each", [FULL, plan()], ids=["full", "plain"])
def test_a_plan_survives_json(each: Plan) -> None:
    back = plan_from(json.loads(json.dumps(plan_dict(each))))
    assert (back, back.fingerprint) == (each, each.fingerprint)


def test_another_plan_has_another_fingerprint() -> None:
    plans = [plan(), plan("one"), plan(models="ba"), plan(repeats=2), plan(seed=1), FULL]
    assert len({other.fingerprint for other in plans}) == len(plans)


def test_a_label_names_what_distinguishes_the_lanes() -> None:
    assert FULL.labels == (
        "a, on eu-1, system “be brief”",
        "b, temperature 0, top_p: provider default, max tokens: provider default, seed 7, "
        'stop "x" "y", no system prompt',
    )


def test_labels_omit_what_all_lanes_share() -> None:
    lanes = tuple(
        Lane(model="a", sampling=Sampling(temperature=t, seed=7), system="s") for t in (0.0, 0.5)
    )
    assert plan(lanes=lanes).labels == ("a, temperature 0", "a, temperature 0.5")


def test_identical_lanes_are_numbered() -> None:
    assert plan(models="aba").labels == ("a", "b", "a (2)")


def test_a_long_system_prompt_is_shortened_in_labels() -> None:
    lanes = (Lane(model="a", system="You are\n" + "very " * 40), Lane(model="a"))
    assert plan(lanes=lanes).labels == (
        "a, system “You are very very very very ve…”",
        "a, no system prompt",
    )


def test_vote_labels_include_those_of_the_page() -> None:
    lane = Lane(model="a", sampling=Sampling(top_p=0.5, seed=7), system="Be brief.")
    assert plan(lanes=(lane,)).vote_labels == {
        "a",
        "a, top_p 0.5",
        "a, top_p 0.5, seed 7",
        "a, system prompt, top_p 0.5",
        "a, system prompt, top_p 0.5, seed 7",
    }
