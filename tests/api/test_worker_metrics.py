from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from akash_gradio.api.metrics import Metrics
from akash_gradio.api.worker_metrics import WorkerMetrics, merge_metrics
from akash_gradio.domain.receipt import Receipt

REPORT = b"""# HELP a_total Answers, {braces} and all.
# TYPE a_total counter
a_total{model="m"} 1.0
a_total{model="{o}"} 2.0
# HELP b Without labels.
# TYPE b gauge
b 3.0
"""


def test_each_sample_gets_the_label_of_its_worker_and_each_family_is_described_once() -> None:
    assert (
        merge_metrics([(1, REPORT), (2, REPORT)])
        == b"""# HELP a_total Answers, {braces} and all.
# TYPE a_total counter
a_total{worker="1",model="m"} 1.0
a_total{worker="1",model="{o}"} 2.0
a_total{worker="2",model="m"} 1.0
a_total{worker="2",model="{o}"} 2.0
# HELP b Without labels.
# TYPE b gauge
b{worker="1"} 3.0
b{worker="2"} 3.0
"""
    )


async def test_any_worker_reports_those_of_all_that_respond(tmp_path: Path) -> None:
    metrics = [Metrics(lambda _: True) for _ in range(2)]
    for number, each in enumerate(metrics, start=1):
        for _ in range(number):
            each.observe(Receipt(requested_model="m", finish="stop"))
    workers = [
        WorkerMetrics(each.export, tmp_path, number, 3)
        for number, each in enumerate(metrics, start=1)
    ]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker.serve())
        (tmp_path / "3.sock").touch()  # of a worker that was killed
        texts = await asyncio.gather(*(worker.export_all() for worker in workers))
    assert texts[0] == texts[1]
    counts = {
        sample.labels["worker"]: sample.value
        for family in text_string_to_metric_families(texts[0].decode())
        for sample in family.samples
        if sample.name == "akash_gradio_requests_total"
    }
    assert counts == {"1": 1.0, "2": 2.0}
