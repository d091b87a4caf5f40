"""Who asks. Carried by the request's context, so that no address of the page can forget it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnKey:
    """A key that a visitor brought. endpoint: the alias of one of the host's, or an address."""

    key: str = field(repr=False)
    endpoint: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """One visitor, or one caller of `/v1`.

    id: what their use is counted under: opaque, never a name or an address as it is.
    network: a wider id, of everybody behind one address, "" where there is none.
    """

    id: str
    network: str = ""
    own_key: OwnKey | None = None


CROSS_SITE_ALLOWED: Final = "akash_gradio.invited"
"""True in the ASGI scope of a request from another site's page that the host allows."""

ANONYMOUS: Final = Visitor(id="nobody")
"""Work of the server itself, and of a page that tells no visitors apart."""

CURRENT_VISITOR: Final[ContextVar[Visitor]] = ContextVar("visitor", default=ANONYMOUS)
"""Who the running request is from. Tasks that it starts inherit it."""
