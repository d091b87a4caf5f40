"""What the page is made from, handed over once by `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import Scope

from akash_gradio.catalog.listing import Listing, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check.service import CheckService
from akash_gradio.compare.run_store import RunStore, open_run_store
from akash_gradio.compare.task import cost_of
from akash_gradio.compare.votes.store import VoteStore
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.health import Health
from akash_gradio.domain.model import Problem
from akash_gradio.domain.ports import ChatGateway
from akash_gradio.domain.progress import Progress
from akash_gradio.domain.receipt import Receipt
from akash_gradio.files.reader import FileReader
from akash_gradio.http.locality import is_local_request


@dataclass(frozen=True, slots=True, kw_only=True)
class AppContext:
    """The parts behind the page.

    problems: mistakes in the configuration, shown to visitors without secrets.
    progress: of the embedded model; None when it isn't wanted.
    default_model: the id that is open at first, "" for the gallery.
    secrets, space, alone: see `ui.notices`. models: the only ids that visitors may use.
    own_keys: `off`, `keys` or `endpoints`: whether visitors may bring theirs.
    own_key_endpoints: the names of those that take one.
    signed_in: whether this request has a session that it could end. user: under which name.
    desk: where checks are asked for, None where there is none. is_operator: whether a request
    comes from who runs the page.
    health: how the model of this id fared lately; None when nobody asked it.
    files: reads what visitors attach.
    votes: where they are kept; None where each browser keeps its own.
    data_dir: where runs of prompt sets are kept; None for as long as the server runs.
    ranges: parameter → lowest and highest value that visitors may set.
    closing: whether the server is about to end, so that runs ask nothing new.
    """

    answerer: ChatGateway
    catalog: Catalog
    thumbnails: Thumbnails
    problems: tuple[Problem, ...] = ()
    progress: Callable[[], Progress | None] = lambda: None
    default_model: str = ""
    desk: CheckService | None = None
    is_operator: Callable[[Scope], bool] = is_local_request
    health: Callable[[str], Health | None] = lambda _model: None
    files: FileReader = field(default_factory=FileReader)
    votes: VoteStore | None = None
    data_dir: Path | None = None
    closing: Callable[[], bool] = lambda: False
    secrets: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)
    space: bool = False
    alone: Callable[[], bool] = lambda: False
    models: frozenset[str] | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: EMPTY_MAPPING)
    own_keys: str = "off"
    own_key_endpoints: frozenset[str] = frozenset()
    signed_in: Callable[[Scope], bool] = lambda _scope: False
    user: Callable[[Scope], str] = lambda _scope: ""

    def open_run_store(self) -> RunStore:
        """The place of the runs of prompt sets; touches nothing yet."""
        return open_run_store(self.data_dir, self.answerer, self.catalog.get, self.closing)

    def listings(self) -> tuple[Listing, ...]:
        """Every model of the catalog and the endpoints now, with who serves it; see `shown`."""
        found = list_models(self.catalog, self.answerer.endpoints())
        if self.models is None:
            return found
        return tuple(one for one in found if one.card.id in self.models)

    def listing(self, model: str) -> Listing | None:
        """The shown model with this id; None when there is none."""
        found = (one for one in self.listings() if one.shown and one.card.id == model)
        return next(found, None)

    def withheld(self, model: str) -> bool:
        """Whether the catalog keeps this model from visitors (`available = false`)."""
        card = self.catalog.get(model)
        return card is not None and card.available is False

    def name_of(self, model: str) -> str:
        """What people call the model with this id, shown or not; the id when nobody knows it."""
        cards = (listing.card for listing in self.listings())
        return next((card.name for card in cards if card.id == model), model)

    def cost_of(self, receipt: Receipt) -> float | None:
        """US dollars by the catalog's prices of the model that answered; None when unknown."""
        return cost_of(receipt, self.catalog.get(receipt.answering_model))
