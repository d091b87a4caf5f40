"""The sender of the current request, in a context variable that every task inherits."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKey:
    """An API key that a visitor entered on the page.

    Attributes:
        endpoint: The alias of a configured endpoint, or a URL.
    """

    key: str = field(repr=False)
    endpoint: str = field(repr=False)


class VisitorKind(StrEnum):
    """What identifies a visitor."""

    ADDRESS = "address"
    """A network address, which several people may share."""
    COOKIE = "cookie"
    """A signed cookie. A new one is free, so networks have limits too."""
    USER = "user"
    """An account that the visitor signed in with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """A visitor of the page, or an API client of `/v1`.

    Attributes:
        id: What usage is counted under: opaque, never a plain name or address.
        network: An id shared by all visitors of one address, "" where there is none.
        kind: What the id is derived from.
        own_key: The visitor's own API key, if they entered one.
        tokens_per_day: Budget of tokens of an API client, None for that of every visitor.
        cost_per_day: Budget of an API client in US dollars, None for no limit.
    """

    id: str
    network: str = ""
    kind: VisitorKind = VisitorKind.ADDRESS
    own_key: OwnKey | None = None
    tokens_per_day: int | None = None
    cost_per_day: float | None = None


CROSS_SITE_ALLOWED: Final = "akash_gradio.cross_site_allowed"
"""Key of the ASGI scope: True for a cross-site request from an origin that the operator allows."""

ANONYMOUS: Final = Visitor(id="anonymous")
"""The server's own requests, and all requests where visitors aren't distinguished."""

CURRENT_QUOTA_TOKEN: Final[ContextVar[str]] = ContextVar("quota_token", default="")
"""On a ZeroGPU Space: the header by which Hugging Face bills the visitor's GPU time."""

CURRENT_VISITOR: Final[ContextVar[Visitor]] = ContextVar("visitor", default=ANONYMOUS)
"""The sender of the current request; tasks that it starts inherit it."""
