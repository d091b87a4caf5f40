"""The report as JSON: the plan, the lanes with their summaries, the ranking and the rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from akash_gradio.compare.plan import plan_dict, sampling_dict
from akash_gradio.compare.reports.report import Report
from akash_gradio.compare.rows import row_dict


def json_report(report: Report) -> Iterator[str]:
    """Yield one object with the keys `plan`, `lanes`, `ranking` and `rows`."""
    plan = report.plan
    labels = plan.labels
    head: dict[str, Any] = {
        "title": report.title,
        "made": report.created_at.isoformat(timespec="seconds"),
        "akash_gradio": report.version,
        "plan": plan_dict(plan),
        "lanes": [
            {
                "label": label,
                "model": lane.model,
                "name": report.names.get(lane.model, lane.model),
                "sampling": sampling_dict(lane.sampling),
                "summary": asdict(summary),
            }
            for label, lane, summary in zip(labels, plan.lanes, report.summaries(), strict=True)
        ],
        "ranking": asdict(report.ranking) if report.ranking else None,
    }
    yield json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}") + ',\n "rows": ['
    separator = "\n  "
    for row in report.rows():
        task = plan.task(row.number)
        data = {
            "prompt": task.prompt.id,
            "lane": labels[plan.lane_of(row.number)],
            "repeat": task.repeat + 1,
            **row_dict(row),
        }
        yield separator + json.dumps(data, ensure_ascii=False)
        separator = ",\n  "
    yield "\n ]\n}\n"
