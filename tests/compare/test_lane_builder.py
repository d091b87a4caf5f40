from __future__ import annotations

from akash_gradio.compare.lane_builder import Candidate, SharedSettings, build_lanes
from akash_gradio.compare.plan import Lane
from akash_gradio.domain.chat import Sampling


def test_a_candidate_without_settings_sends_the_catalogs_values() -> None:
    assert build_lanes((Candidate(model="a"),), SharedSettings()) == (Lane(model="a"),)


def test_a_candidates_own_settings_take_precedence() -> None:
    own = Candidate(
        model="a", temperature=0.0, top_p=0.0, max_tokens=5, seed=0, system="", endpoint="eu-1",
        stop=("END",), presence_penalty=0.0, frequency_penalty=-1.0, reasoning_effort="low",
    )  # fmt: skip
    shared = SharedSettings(
        temperatures=(0.7, 1.0), top_ps=(0.5, 0.9), max_tokens=9, seed=1, system="Be brief."
    )
    sampling = Sampling(
        temperature=0.0, top_p=0.0, max_tokens=5, seed=0,
        stop=("END",), presence_penalty=0.0, frequency_penalty=-1.0, reasoning_effort="low",
    )  # fmt: skip
    assert build_lanes((own,), shared) == (Lane(model="a", sampling=sampling, endpoint="eu-1"),)


def test_shared_settings_apply_to_candidates_without_their_own() -> None:
    shared = SharedSettings(temperatures=(0.7,), max_tokens=9, seed=1, system="Be brief.")
    sampling = Sampling(temperature=0.7, max_tokens=9, seed=1)
    lane = Lane(model="a", sampling=sampling, system="Be brief.")
    assert build_lanes((Candidate(model="a"),), shared) == (lane,)


def test_several_shared_values_make_a_lane_each() -> None:
    candidates = (Candidate(model="a"), Candidate(model="b", temperature=0.2))
    lanes = build_lanes(candidates, SharedSettings(temperatures=(0.0, 0.7, 0.0), top_ps=(0.5, 0.9)))
    assert [(lane.model, lane.sampling.temperature, lane.sampling.top_p) for lane in lanes] == [
        ("a", 0.0, 0.5), ("a", 0.0, 0.9), ("a", 0.7, 0.5), ("a", 0.7, 0.9),
        ("b", 0.2, 0.5), ("b", 0.2, 0.9),
    ]  # fmt: skip


def test_the_same_model_may_be_a_candidate_twice() -> None:
    assert build_lanes((Candidate(model="a"), Candidate(model="a")), SharedSettings()) == (
        Lane(model="a"), Lane(model="a"),
    )  # fmt: skip
