"""Exports votes and their ranking, without the visitors' ids."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from akash_gradio.compare.csv_writer import csv_text
from akash_gradio.compare.ranking import Ranking
from akash_gradio.compare.votes.store import Vote


def votes_csv(votes: Sequence[Vote]) -> str:
    """Return a line of column names and a line per vote."""
    rows = ((v.when.isoformat(), v.a, v.b, v.outcome.value, v.blind) for v in votes)
    return csv_text([("when", "a", "b", "outcome", "blind"), *rows])


def votes_json(votes: Sequence[Vote], ranking: Ranking) -> str:
    """Return the votes and the ranking as one object."""
    data: dict[str, Any] = {
        "votes": [
            {
                "id": vote.id,
                "when": vote.when.isoformat(),
                "a": vote.a,
                "b": vote.b,
                "outcome": vote.outcome.value,
                "blind": vote.blind,
            }
            for vote in votes
        ],
        "ranking": asdict(ranking),
    }
    return json.dumps(data, ensure_ascii=False, indent=1)
