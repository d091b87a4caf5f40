"""Answers that a visitor pays with a key of their own.

For each answer there is a gateway and a client of its own, which end with it: the key is in
nothing that another visitor's request comes near.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from pydantic import SecretStr, ValidationError

from akash_gradio.config.access import OwnKeysMode
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.settings import Settings
from akash_gradio.domain.chat import EMPTY_MAPPING, ChatRequest
from akash_gradio.domain.errors import NotAllowed
from akash_gradio.domain.events import Event
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.receipt import Receipt
from akash_gradio.domain.visitor import OwnKey
from akash_gradio.gateway import open_gateway
from akash_gradio.gateway.passthrough.transport import HttpTransport
from akash_gradio.gateway.public_addresses import AddressFilter, is_public

ALIAS = "own-endpoint"
"""What an endpoint is called whose address a visitor gave."""
Cards = Callable[[str], ModelCard | None]


def accepts_visitor_keys(entry: EndpointSettings) -> bool:
    """Whether a visitor's key means something at this endpoint of the host's.

    Where the host needs none any made-up one would do, and what is drained stays so.
    """
    return entry.api_key is not None and entry.weight > 0


class VisitorKeys:
    """Asks with visitors' keys. allowed: where an address that a visitor gave may lead."""

    def __init__(
        self,
        settings: Settings,
        cards: Cards,
        on_receipt: Callable[[Receipt], None],
        allowed: AddressFilter = is_public,
    ) -> None:
        self._settings, self._cards, self._on_receipt = settings, cards, on_receipt
        self._allowed = allowed

    async def stream(self, request: ChatRequest, own: OwnKey) -> AsyncGenerator[Event, None]:
        """See `ChatGateway.stream`. Raises NotAllowed besides."""
        entry = self._entry(own, request.model)
        theirs = entry.name == ALIAS
        settings = self._settings.model_copy(
            update={"endpoints": (entry,), "fallback_models": (), "retry_attempts": 0}
        )
        gateway = open_gateway(
            settings,
            self._without_headers,
            transport=HttpTransport(self._allowed if theirs else None),
            on_receipt=self._on_receipt,
        )
        async with gateway, aclosing(gateway.stream(request)) as events:
            async for event in events:
                yield event

    def _entry(self, own: OwnKey, model: str) -> EndpointSettings:
        known = {entry.name: entry for entry in self._settings.endpoints}
        mine = {"api_key": SecretStr(own.key), "models": (model,), "custom_headers": {}}
        if own.endpoint in known:
            if not accepts_visitor_keys(known[own.endpoint]):
                raise NotAllowed("own_key")
            return known[own.endpoint].model_copy(update=mine)
        if self._settings.own_keys is not OwnKeysMode.ENDPOINTS:
            raise NotAllowed("own_key")
        try:
            entry = EndpointSettings.model_validate({"url": own.endpoint, "name": ALIAS, **mine})
        except ValidationError:
            raise NotAllowed("own_endpoint") from None
        if not entry.url.startswith("https://") and self._allowed is is_public:
            raise NotAllowed("own_endpoint")
        return entry

    def _without_headers(self, model: str) -> ModelCard | None:
        """The host's custom headers may hold a credential, which would be spent instead."""
        card = self._cards(model)
        return replace(card, custom_headers=EMPTY_MAPPING) if card is not None else None
