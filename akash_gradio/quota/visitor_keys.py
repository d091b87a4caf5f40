"""Answers requests with a visitor's own API key.

Each answer has its own gateway and HTTP client, which are closed after it, so that the key is
in nothing that another visitor's request uses.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

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

ALIAS: Final = "own-endpoint"
"""The alias of an endpoint whose URL a visitor gave."""

FindCard = Callable[[str], ModelCard | None]


def accepts_visitor_keys(endpoint: EndpointSettings) -> bool:
    """Return whether visitors may use their own keys at one of the operator's endpoints.

    Not at an endpoint that has no key, since it would accept any; nor at a drained one.
    """
    return endpoint.api_key is not None and endpoint.weight > 0


class VisitorKeys:
    """Streams answers with visitors' own keys."""

    def __init__(
        self,
        settings: Settings,
        find_card: FindCard,
        on_receipt: Callable[[Receipt], None],
        allowed: AddressFilter = is_public,
    ) -> None:
        """Initialize the streams.

        Args:
            settings: The endpoints, and whether visitors may give URLs.
            find_card: Returns the card of a model.
            on_receipt: Called with the receipt of each answer.
            allowed: Whether a URL that a visitor gave may lead to an address.
        """
        self._settings, self._find_card, self._on_receipt = settings, find_card, on_receipt
        self._allowed = allowed

    async def stream(self, request: ChatRequest, own_key: OwnKey) -> AsyncGenerator[Event, None]:
        """See `ChatGateway.stream`.

        Raises:
            NotAllowed: The key isn't accepted at its endpoint, or the URL may not be called.
        """
        endpoint = self._endpoint(own_key, request.model)
        is_visitors_url = endpoint.name == ALIAS
        settings = self._settings.model_copy(
            update={"endpoints": (endpoint,), "fallback_models": (), "retry_attempts": 0}
        )
        gateway = open_gateway(
            settings,
            self._card_without_headers,
            transport=HttpTransport(self._allowed if is_visitors_url else None),
            on_receipt=self._on_receipt,
        )
        async with gateway, aclosing(gateway.stream(request)) as events:
            async for event in events:
                yield event

    def _endpoint(self, own_key: OwnKey, model: str) -> EndpointSettings:
        configured = {endpoint.name: endpoint for endpoint in self._settings.endpoints}
        changes = {"api_key": SecretStr(own_key.key), "models": (model,), "custom_headers": {}}
        if own_key.endpoint in configured:
            if not accepts_visitor_keys(configured[own_key.endpoint]):
                raise NotAllowed("own_key")
            return configured[own_key.endpoint].model_copy(update=changes)
        if self._settings.own_keys is not OwnKeysMode.ENDPOINTS:
            raise NotAllowed("own_key")
        try:
            endpoint = EndpointSettings.model_validate(
                {"url": own_key.endpoint, "name": ALIAS, **changes}
            )
        except ValidationError:
            raise NotAllowed("own_endpoint") from None
        if not endpoint.url.startswith("https://") and self._allowed is is_public:
            raise NotAllowed("own_endpoint")
        return endpoint

    def _card_without_headers(self, model: str) -> ModelCard | None:
        """Drop the operator's custom headers, which may contain a credential."""
        card = self._find_card(model)
        return replace(card, custom_headers=EMPTY_MAPPING) if card is not None else None
