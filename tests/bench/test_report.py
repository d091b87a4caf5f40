from __future__ import annotations

from bench.report import Results, comparison_table


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
