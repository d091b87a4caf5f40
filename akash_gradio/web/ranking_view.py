"""View data of a ranking, with the pairs whose order isn't certain yet; not yet HTML."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from akash_gradio.compare.ranking import Neighbors, Pair, Ranking, Standing
from akash_gradio.web import texts

MARGIN: Final = 0.04
"""Part of the scale that stays free at each end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedLane:
    """One row of the ranking.

    Attributes:
        variant: The rest of the lane's label after the model, "" without any.
        position: The rating in percent of the scale; `low` and `high` are the interval's ends.
        record: Wins, losses and ties as text.
        uncertainty: Why the next row may belong above this one, "" if the order is certain.
    """

    label: str
    name: str
    variant: str
    rank: int
    rating: str
    interval: str
    position: float
    low: float
    high: float
    record: str
    uncertainty: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The votes between a row's lane and a column's lane.

    Attributes:
        share: Percent of wins, with half of the ties; None without votes.
        label: The same as text.
    """

    share: int | None
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingView:
    """The ranking.

    Attributes:
        where: Where the votes are stored.
        rows: The lanes, best first.
        matrix: The cells of each row, in the same order.
        left_out: A sentence about the lanes with too few votes to be ranked, "" if there are none.
    """

    summary: str
    where: str
    rows: tuple[RankedLane, ...]
    matrix: tuple[tuple[Cell, ...], ...]
    left_out: str


def ranking_view(
    ranking: Ranking, display_name: Callable[[str], str], *, stored: bool
) -> RankingView:
    """Build the view of a ranking.

    Args:
        ranking: The ranking.
        display_name: Returns the display name of a model id.
        stored: Whether the server stores votes, instead of each browser.
    """
    count = ranking.votes
    w = texts.RANKING
    return RankingView(
        summary=w["one_vote"] if count == 1 else w["votes"].format(count=f"{count:,}"),
        where=w["kept_here"] if stored else w["kept_in_browser"],
        rows=_rows(ranking, display_name),
        matrix=_matrix(ranking.standings, ranking.pairs),
        left_out=w["left_out"].format(count=ranking.left_out) if ranking.left_out else "",
    )


def _rows(ranking: Ranking, display_name: Callable[[str], str]) -> tuple[RankedLane, ...]:
    standings = ranking.standings
    if not standings:
        return ()
    floor, top = min(s.low for s in standings), max(s.high for s in standings)
    span = max(top - floor, 1.0) / (1 - 2 * MARGIN)

    def percent(rating: float) -> float:
        return round(100 * ((rating - floor) / span + MARGIN), 2)

    below = {pair.upper: pair for pair in ranking.neighbors}
    return tuple(
        RankedLane(
            label=s.label,
            name=display_name(s.label.partition(", ")[0]),
            variant=s.label.partition(", ")[2],
            rank=s.place,
            rating=f"{s.rating:.0f}",
            interval=f"{s.low:.0f}–{s.high:.0f}",
            position=percent(s.rating),
            low=percent(s.low),
            high=percent(s.high),
            record=texts.RANKING["record"].format(wins=s.wins, losses=s.losses, ties=s.ties),
            uncertainty=_uncertainty(below.get(s.label), display_name),
        )
        for s in standings
    )


def _uncertainty(pair: Neighbors | None, display_name: Callable[[str], str]) -> str:
    if pair is None or pair.ordered:
        return ""
    names = {"a": _full_name(pair.upper, display_name), "b": _full_name(pair.lower, display_name)}
    if not pair.connected:
        return texts.RANKING["unconnected"].format(**names)
    if pair.more_votes is None:
        return texts.RANKING["too_close"].format(**names)
    text = texts.RANKING["one_more" if pair.more_votes == 1 else "more"]
    return text.format(count=f"{pair.more_votes:,}", **names)


def _full_name(label: str, display_name: Callable[[str], str]) -> str:
    model, comma, variant = label.partition(", ")
    return display_name(model) + comma + variant


def _matrix(standings: Sequence[Standing], pairs: Sequence[Pair]) -> tuple[tuple[Cell, ...], ...]:
    known = {(pair.a, pair.b): pair for pair in pairs}
    return tuple(
        tuple(_cell(known, row.label, column.label) for column in standings) for row in standings
    )


def _cell(known: dict[tuple[str, str], Pair], row: str, column: str) -> Cell:
    pair = known.get((row, column)) or known.get((column, row))
    if pair is None or not pair.votes:
        return Cell(share=None, label="")
    wins, losses = (pair.a_wins, pair.b_wins) if pair.a == row else (pair.b_wins, pair.a_wins)
    even = pair.ties + pair.both_bad
    share = round(100 * (wins + even / 2) / pair.votes)
    return Cell(
        share=share, label=texts.RANKING["cell"].format(wins=wins, losses=losses, even=even)
    )
