"""Dependencies of the page's routes: one small object for each feature, built once by `app.py`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

from akash_gradio.catalog.listing import Listing, list_models
from akash_gradio.catalog.loader import Catalog
from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.check.service import CheckService
from akash_gradio.compare.run_store import RunStore
from akash_gradio.compare.task import cost_of
from akash_gradio.compare.votes.store import VoteStore
from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.health import Health
from akash_gradio.domain.ports import ChatGateway, EndpointStatus
from akash_gradio.domain.receipt import Receipt
from akash_gradio.files.reader import FileReader
from akash_gradio.http.locality import is_local_request
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.web.notices import NoticeSource
from akash_gradio.work.pool import WorkPool

Endpoints = Callable[[], tuple[EndpointStatus, ...]]
"""Returns every endpoint's state, in the order of the configuration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogView:
    """The models of the catalog and of the endpoints, as visitors may see them.

    Attributes:
        catalog: The catalog's entries.
        endpoints: Returns the endpoints with the models that they serve now.
        allowed_models: The only model ids that visitors may use, None for no restriction.
        health: Returns a model's recent health by its id, None if it had no requests.
    """

    catalog: Catalog
    endpoints: Endpoints
    allowed_models: frozenset[str] | None = None
    health: Callable[[str], Health | None] = lambda _model: None

    def listings(self) -> tuple[Listing, ...]:
        """Return every model with the endpoints that serve it, hidden models too."""
        listings = list_models(self.catalog, self.endpoints())
        if self.allowed_models is None:
            return listings
        return tuple(listing for listing in listings if listing.card.id in self.allowed_models)

    def listing(self, model: str) -> Listing | None:
        """Return the visible model with this id, or None."""
        for listing in self.listings():
            if listing.shown and listing.card.id == model:
                return listing
        return None

    def is_withheld(self, model: str) -> bool:
        """Return whether the catalog hides this model from visitors (`available = false`)."""
        card = self.catalog.get(model)
        return card is not None and card.available is False

    def is_known(self, model: str) -> bool:
        """Return whether the catalog or an endpoint has this model."""
        return self.catalog.get(model) is not None or any(
            listing.card.id == model for listing in self.listings()
        )

    def display_name(self, model: str) -> str:
        """Return a model's display name, or its id if it isn't known."""
        return self.display_names().get(model, model)

    def display_names(self) -> Mapping[str, str]:
        """Return the display names of all models by their ids."""
        return {listing.card.id: listing.card.name for listing in self.listings()}

    def answer_cost(self, receipt: Receipt) -> float | None:
        """Return what an answer cost in US dollars, None without a price in the catalog."""
        return cost_of(receipt, self.catalog.get(receipt.answering_model))


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatDeps:
    """What `page/reply`, `page/continue` and `page/render` use."""

    gateway: ChatGateway
    models: CatalogView
    work: WorkPool


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareDeps:
    """What the routes below `page/compare` use.

    Attributes:
        gateway: Answers the lanes.
        models: The models that may be compared.
        limiter: Counts the votes of each visitor.
        work: Runs what takes CPU time.
        votes: Stores votes; None if each browser keeps its own.
    """

    gateway: ChatGateway
    models: CatalogView
    limiter: RateLimiter
    work: WorkPool
    votes: VoteStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDeps:
    """What the routes below `page/sets` use.

    Attributes:
        runs: The runs of prompt sets.
        models: The models that a run may use.
        limiter: Counts the runs that each visitor starts.
        work: Runs what takes CPU time.
        votes: Stores votes, for the ranking in a report; None if browsers keep their own.
    """

    runs: RunStore
    models: CatalogView
    limiter: RateLimiter
    work: WorkPool
    votes: VoteStore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDeps:
    """What the routes for the operator alone use.

    Attributes:
        endpoints: Returns the endpoints that can be checked.
        checks: Runs endpoint checks; None if the page offers none.
        is_operator: Whether a request comes from the operator.
    """

    endpoints: Endpoints
    checks: CheckService | None = None
    is_operator: Callable[[Scope], bool] = is_local_request

    def may_check(self, scope: Scope) -> bool:
        """Return whether this request may start endpoint checks."""
        return self.checks is not None and self.is_operator(scope)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageDeps:
    """What the page shows when it opens, and its gallery.

    Attributes:
        models: The models of the gallery.
        thumbnails: Their pictures.
        notices: What is reported above the gallery and the chat.
        default_model: The id of the model that is open at first, "" for the gallery.
        runs_kept: Whether runs of prompt sets survive a restart of the server.
        zero_gpu: Whether visitors pay for GPU time with their quota on Hugging Face.
        ranges: Lowest and highest allowed value by parameter.
        own_keys: `off`, `keys` or `endpoints`: what visitors may bring.
        own_key_endpoints: The names of the endpoints that accept a visitor's key.
        signed_in: Whether a request has a session that it could end.
        user: Returns the name under which its visitor signed in, "" without one.
    """

    models: CatalogView
    thumbnails: Thumbnails
    notices: NoticeSource
    default_model: str = ""
    runs_kept: bool = False
    zero_gpu: bool = False
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=lambda: EMPTY_MAPPING)
    own_keys: str = "off"
    own_key_endpoints: frozenset[str] = frozenset()
    signed_in: Callable[[Scope], bool] = lambda _scope: False
    user: Callable[[Scope], str] = lambda _scope: ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebDeps:
    """The dependencies of all routes of the page."""

    page: PageDeps
    chat: ChatDeps
    compare: CompareDeps
    runs: RunDeps
    operator: OperatorDeps
    files: FileReader = field(default_factory=FileReader)
