"""Everything behind the page and behind `/v1`: catalog, gateway, the model on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field

from akash_gradio.api.metrics import Metrics
from akash_gradio.api.routes import ApiDeps
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.auth.signing import Signer
from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check.health_probe import HealthProber
from akash_gradio.check.health_tracker import HealthTracker
from akash_gradio.config.access import OwnKeysMode
from akash_gradio.config.endpoints import EMBEDDED_ALIAS
from akash_gradio.config.settings import Settings
from akash_gradio.domain.model import Problem
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.domain.receipt import Receipt
from akash_gradio.embedded.progress import terminal_progress
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import embedded_model_id
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.quota.counters import LocalCounters
from akash_gradio.quota.gateway import ChatBackend, QuotaGateway, UsageMeter
from akash_gradio.quota.redis_counters import RedisCounters, open_redis_counters
from akash_gradio.quota.request_limits import RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What answers; `open` starts it with the server's event loop.

    source: the gateway as strangers may use it; itself where nothing is limited.
    embedded: None where the model on this machine isn't wanted. health: of every model that
    was asked. health_prober: looks after endpoints that nobody asks. problems: of the settings
    and of the catalog.
    signer: of the visitors' cookies. shared: with other replicas, None without Redis.
    """

    catalog: Catalog
    gateway: Gateway
    source: ChatBackend
    embedded: EmbeddedEndpoint | None
    api: ApiDeps
    health_prober: HealthProber | None = None
    health: HealthTracker = field(default_factory=HealthTracker)
    problems: tuple[Problem, ...]
    signer: Signer = field(default_factory=Signer)
    shared: RedisCounters | None = None

    @property
    def alone(self) -> bool:
        """Whether the other replicas can't be heard just now."""
        return self.shared is not None and self.shared.alone

    @asynccontextmanager
    async def open(self, _app: object) -> AsyncIterator[None]:
        """The gateway and, where it is wanted, the model on this machine, until the server ends."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.gateway)
            if self.health_prober is not None:
                looking = asyncio.create_task(self.health_prober.run())
                stack.push_async_callback(_end, looking)
            if self.shared is not None:
                gateway = self.gateway
                sharing = self.shared.open(self.signer, gateway.endpoints, gateway.rest_endpoint)
                await stack.enter_async_context(sharing)
            if self.embedded is not None:
                running = asyncio.create_task(self.embedded.run())
                stack.push_async_callback(_end, running)
            yield


def assemble_service(settings: Settings, environment: Mapping[str, str]) -> Service:
    """The service from the settings alone; nothing is opened yet.

    environment: where the catalog's `"$NAME"` values are looked up.
    """
    catalog = read_catalog(settings.catalog_file, environment)
    metrics, health = Metrics(), HealthTracker()
    own, url, secret = LocalCounters(), settings.redis_url, settings.session_secret
    shared = open_redis_counters(url.get_secret_value(), own) if url else None
    counters = shared or own
    ledger, limited = UsageMeter(counters, catalog.get), settings.limited

    def note(receipt: Receipt) -> None:
        metrics.observe(receipt)
        health.observe(receipt)
        health_prober.observe(receipt)
        if limited:
            ledger.observe(receipt)

    cards = {card.id: card for card in catalog.cards}
    gateway = open_gateway(settings, cards.get, on_receipt=note)
    health_prober = HealthProber(settings.health_probe, gateway)
    offered = settings.own_keys is not OwnKeysMode.OFF
    own_keys = VisitorKeys(settings, catalog.get, metrics.observe) if offered else None
    guard = QuotaGateway(gateway, RequestLimits.of(settings), counters, own_keys=own_keys)
    source = guard if limited or offered else gateway
    metrics.known = lambda model: _known(model, catalog, gateway)
    metrics.watch(gateway.endpoints)
    auth = ApiKeyAuth(
        settings.gateway_keys,
        keyed=settings.gateway_keys_configured,
        behind_proxy=settings.behind_proxy,
    )
    return Service(
        catalog=catalog,
        gateway=gateway,
        source=source,
        embedded=_embedded(settings, gateway) if settings.embedded_wanted else None,
        api=ApiDeps(gateway=source, catalog=catalog, auth=auth, metrics=metrics),
        health=health,
        health_prober=health_prober,
        problems=(*settings.problems, *catalog.problems),
        signer=Signer(secret.get_secret_value() if secret else ""),
        shared=shared,
    )


def _known(model: str, catalog: Catalog, gateway: Gateway) -> bool:
    card = catalog.get(model)
    if card is not None and card.id == model:
        return True
    return any(
        model == served.id for status in gateway.endpoints() for served in status.models or ()
    )


def _embedded(settings: Settings, gateway: Gateway) -> EmbeddedEndpoint:
    models = (embedded_model_id(settings.embedded_model),)
    tell = terminal_progress()

    def show(progress: Progress) -> None:
        if progress.stage is Stage.UNAVAILABLE:  # nobody is to wait for it
            gateway.remove_endpoint(EMBEDDED_ALIAS)
        elif progress.stage is not Stage.READY:
            gateway.expect_endpoint(EMBEDDED_ALIAS, models)
        tell(progress)

    embedded = EmbeddedEndpoint(
        settings,
        on_ready=gateway.put_endpoint,
        on_down=lambda: gateway.expect_endpoint(EMBEDDED_ALIAS, models),
        on_progress=show,
    )
    gateway.expect_endpoint(EMBEDDED_ALIAS, models)
    return embedded


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
