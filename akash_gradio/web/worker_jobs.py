"""What the routes run in workers: from a request's body to the response's, without anything else.

The modules that this one imports are loaded in each worker.
"""

from __future__ import annotations

import json

from akash_gradio.compare.answer_diff import Span, diff_answers
from akash_gradio.compare.ranking import Ranking, rank
from akash_gradio.compare.votes.export import votes_csv, votes_json
from akash_gradio.markdown.renderer import render_all
from akash_gradio.web.schemas import parse_diff, parse_render, parse_vote_body


def render_json(body: bytes) -> bytes:
    """Respond to `page/render`: the HTML blocks of each text.

    Raises:
        UserError: The body is invalid.
    """
    return _to_json({"blocks": render_all(parse_render(body))})


def diff_json(body: bytes) -> bytes:
    """Respond to `page/compare/diff`: two answers in spans: common, in one, a different number.

    Raises:
        UserError: The body is invalid.
    """
    result = diff_answers(*parse_diff(body))
    common = round(result.common, 3)
    return _to_json({"a": _spans(result.a), "b": _spans(result.b), "common": common})


def rank_votes(body: bytes) -> Ranking:
    """Rank the votes that a browser sent.

    Raises:
        UserError: The body is invalid.
    """
    return rank(parse_vote_body(body))


def export_votes(body: bytes, form: str) -> str:
    """Return the votes that a browser sent as CSV, or with their ranking as JSON.

    Raises:
        UserError: The body is invalid.
    """
    votes = parse_vote_body(body)
    return votes_csv(votes) if form == "csv" else votes_json(votes, rank(votes))


def _spans(spans: tuple[Span, ...]) -> list[list[str]]:
    return [[span.text, span.mark] for span in spans]


def _to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
