from __future__ import annotations

from bench.report import Results, anchored, comparison_table, goals


def test_two_checkouts_are_compared_figure_by_figure() -> None:
    results = Results(
        gateways={
            "akash_gradio": {"cpu_s_20": 11.0, "memory_0": 57.0, "streams_held": None},
            "akash_gradio_before": {"cpu_s_20": 10.0, "memory_0": None, "streams_held": 720.0},
        },
        readers={"gateway": {"cpu_us": 45.0}, "gateway_before": {"cpu_us": 50.0}},
    )
    lines = comparison_table(results).splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    assert cells == [
        ["akash_gradio, cpu_s_20", "11", "10", "1.100"],
        ["gateway, cpu_us", "45", "50", "0.900"],
    ]


def test_one_checkout_has_nothing_to_compare() -> None:
    assert comparison_table(Results(gateways={"akash_gradio": {"cpu_s_20": 11.0}})) == ""


def test_figures_are_compared_with_the_anchors() -> None:
    figures: dict[str, dict[str, float | None]] = {
        "sglang_router": {"requests_per_s_64": 20_000.0, "streams_held": 2e3, "memory_400": None},
        "akash_gradio": {"requests_per_s_64": 10_000.0, "streams_held": 1e3, "memory_400": 60.0},
    }
    assert anchored(figures) == {"akash_gradio": {"requests_per_s_64": 0.5, "streams_held": 0.5}}
    verdicts = {goal.what: goal.verdict for goal in goals(Results(gateways=figures))}
    assert verdicts["requests/s at 64, of sglang-router's"] == "met"
    assert verdicts["streams held, of sglang-router's"] == "missed"


def test_without_the_anchor_nothing_is_compared_with_it() -> None:
    assert anchored({"akash_gradio": {"streams_held": 1000.0}}) == {}
