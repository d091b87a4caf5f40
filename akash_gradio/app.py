"""The composition root: `create_app` builds every part of the application once, from the settings.

Modules that only the page or a server needs are imported inside functions, so that `/v1` alone
starts faster and takes less memory.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from akash_gradio.api.asgi_app import ApiApp
from akash_gradio.api.metrics import Metrics
from akash_gradio.api.routes import ApiDeps, api_routes
from akash_gradio.api.worker_metrics import WorkerMetrics
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.auth.signing import Signer, stored_secret
from akash_gradio.catalog.loader import Catalog, read_catalog
from akash_gradio.check.health_probe import HealthProber
from akash_gradio.check.health_tracker import HealthTracker
from akash_gradio.config.access import OwnKeysMode
from akash_gradio.config.endpoints import EMBEDDED_ALIAS
from akash_gradio.config.extras import is_installed, missing_extras
from akash_gradio.config.messages import UNKNOWN_FALLBACK, describe_value
from akash_gradio.config.paths import ASSETS
from akash_gradio.config.settings import Settings
from akash_gradio.domain.model import ModelCard, Problem
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.domain.receipt import Receipt
from akash_gradio.embedded.progress import terminal_progress
from akash_gradio.embedded.supervisor import EmbeddedEndpoint
from akash_gradio.embedded.weights import embedded_model_id
from akash_gradio.gateway import Gateway, open_gateway
from akash_gradio.gateway.callables import FunctionEndpoint, FunctionTransport
from akash_gradio.http.address import address_error, browser_host
from akash_gradio.http.cross_origin import allow_cross_origin
from akash_gradio.http.locality import locality_check
from akash_gradio.logs import configure_logging, drop_unused_record_fields
from akash_gradio.quota.admission import price_problems
from akash_gradio.quota.counters import DAY_S, LocalCounters
from akash_gradio.quota.gateway import QuotaGateway
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.quota.redis_counters import RedisCounters, open_redis_counters
from akash_gradio.quota.request_limits import RequestLimits
from akash_gradio.quota.visitor_keys import VisitorKeys, accepts_visitor_keys

if TYPE_CHECKING:
    import uvicorn
    from gradio import Blocks
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from akash_gradio.gateway.transport import Transport
    from akash_gradio.web.deps import WebDeps
    from akash_gradio.web.security import SecurityStack

SIGNING_SECRET_FILE: Final = "signing-secret"
"""Name of the file in DATA_DIR."""
KEEP_ALIVE_S: Final = 75
"""An idle connection is kept longer than clients and proxies keep theirs."""
MAX_GRADIO_QUEUE: Final = 1000
"""Events of Gradio components that may wait; the page's own requests don't use Gradio's queue."""
GC_THRESHOLD: Final = 5000
"""New objects before the garbage collector runs, while `/v1` is served alone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The parts that only the page needs.

    Attributes:
        deps: What the page's routes use.
        security: The middleware in front of every route; it also identifies who sent a request.
    """

    deps: WebDeps
    security: SecurityStack


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The application, ready to be served. Nothing is opened before `lifespan` is entered.

    Attributes:
        settings: What everything was built from.
        catalog: The models and their defaults.
        gateway: Routes chat requests to the endpoints.
        backend: The gateway behind the quotas, or the gateway itself if nothing is limited.
        api: What the routes of `/v1` use.
        limiter: Counts messages, requests of API keys, votes and sign-in attempts.
        embedded: The model on this machine, or None if it doesn't run.
        health: How each model responded lately.
        health_prober: Sends health probes to endpoints without recent traffic.
        signer: Signs the visitors' cookies.
        shared: The counters shared with other replicas, or None without Redis.
        problems: Mistakes in the settings, the catalog and the thumbnails.
        page: The parts of the page, or None if only `/v1` is served.
    """

    settings: Settings
    catalog: Catalog
    gateway: Gateway
    backend: Gateway | QuotaGateway
    api: ApiDeps
    limiter: RateLimiter
    embedded: EmbeddedEndpoint | None = None
    health: HealthTracker = field(default_factory=HealthTracker)
    health_prober: HealthProber | None = None
    signer: Signer = field(default_factory=Signer)
    shared: RedisCounters | None = None
    problems: tuple[Problem, ...] = ()
    page: Page | None = None

    @asynccontextmanager
    async def lifespan(self, _asgi_app: object = None) -> AsyncIterator[None]:
        """Run the gateway and everything beside it while a server runs, on its event loop."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.api.work.close)
            await stack.enter_async_context(self.gateway)
            if self.health_prober is not None:
                probing = asyncio.create_task(self.health_prober.run())
                stack.push_async_callback(_cancel, probing)
            if self.page is not None and self.settings.data_dir is not None:
                self._adopt_stored_secret(self.settings.data_dir)
            if self.shared is not None:
                gateway = self.gateway
                sharing = self.shared.open(self.signer, gateway.endpoints, gateway.rest_endpoint)
                await stack.enter_async_context(sharing)
            if self.embedded is not None:
                supervising = asyncio.create_task(self.embedded.run())
                stack.push_async_callback(_cancel, supervising)
            if self.page is not None:
                await stack.enter_async_context(self.page.deps.runs.runs)
            if self.api.worker_metrics is not None:
                await stack.enter_async_context(self.api.worker_metrics.serve())
            yield

    def _adopt_stored_secret(self, data_dir: Path) -> None:
        """Keep the identity of visitors, who own the runs in this folder, over restarts."""
        secret = None if self.signer.fixed else stored_secret(data_dir / SIGNING_SECRET_FILE)
        if secret is not None:
            self.signer.adopt(secret)

    def asgi(self) -> ASGIApp:
        """Return the ASGI app: `/v1`, and the page's own routes unless there is no page.

        `launch` puts Gradio's routes beside them.
        """
        origins = self.settings.allowed_origins
        if self.page is None:
            return allow_cross_origin(ApiApp(api_routes(self.api), self.lifespan), origins)
        from starlette.applications import Starlette

        return allow_cross_origin(Starlette(**_starlette_options(self, self.page)), origins)

    def launch(self, *, workers: int = 1) -> None:
        """Print the address and serve until the process is ended.

        Args:
            workers: How many processes serve `/v1`, if there is no page.

        Raises:
            SystemExit: The address can't be listened on, for example because the port is in use.
        """
        settings = self.settings
        configure_logging(settings)
        for problem in self.problems:
            sys.stderr.write(f"Configuration: {problem}\n")
        if error := address_error(settings.server_name, settings.server_port):
            sys.exit(error)
        if self.page is None:
            _serve_api(self, workers)
        else:
            _serve_page(self, self.page)

    def start(self) -> RunningPage:
        """Serve the page in a thread, and return once it responds.

        Raises:
            OSError: The address can't be listened on, for example because the port is in use.
        """
        assert self.page is not None
        configure_logging(self.settings)
        for problem in self.problems:
            sys.stderr.write(f"Configuration: {problem}\n")
        if error := address_error(self.settings.server_name, self.settings.server_port):
            raise OSError(error)
        self.announce()
        return RunningPage(_launch_blocks(self, self.page), self.url)

    @property
    def url(self) -> str:
        """The address that a browser on this machine opens."""
        host, port = browser_host(self.settings.server_name), self.settings.server_port
        return f"http://{host}:{port}"

    def announce(self, path: str = "") -> None:
        """Print the address that a browser or a client opens."""
        sys.stderr.write(f"Akash Gradio: {self.url}{path}\n")


class RunningPage:
    """A page that is served in a thread.

    Args:
        blocks: Gradio's Blocks, launched.
        url: The page's address.
    """

    def __init__(self, blocks: Blocks, url: str) -> None:
        self.url = url
        self._blocks = blocks

    def close(self) -> None:
        """Stop serving: running answers are interrupted, and the port is freed."""
        from akash_gradio.http.server import stop_server

        stop_server(self._blocks.server, grace_s=0)
        self._blocks.close(verbose=False)


def create_app(
    settings: Settings,
    *,
    page: bool = True,
    environment: Mapping[str, str] | None = None,
    cards: Sequence[ModelCard] = (),
) -> App:
    """Build the application; nothing is opened yet.

    Args:
        settings: From `read_settings`.
        page: Whether to build the page; `/v1` alone takes a third of the memory.
        environment: Where the catalog's `"$NAME"` values are looked up; the process's by default.
        cards: Models of a Python program, before those of the catalog.
    """
    catalog = read_catalog(
        settings.catalog_file, os.environ if environment is None else environment
    )
    if cards:
        catalog = catalog.with_cards(cards)
    metrics, health = Metrics(), HealthTracker()
    local, secret = LocalCounters(), settings.session_secret
    problems = [*settings.problems, *catalog.problems, *missing_extras(settings)]
    shared = None
    if settings.redis_url and is_installed("redis"):
        shared = open_redis_counters(settings.redis_url.get_secret_value(), local)
    counters = shared or local
    limiter = RateLimiter(counters)

    def observe(receipt: Receipt) -> None:
        metrics.observe(receipt)
        health.observe(receipt)
        health_prober.observe(receipt)

    card_by_id = {card.id: card for card in catalog.cards}
    gateway = open_gateway(
        settings, card_by_id.get, transport=_transport(settings), on_receipt=observe
    )
    health_prober = HealthProber(settings.health_probe, gateway)
    offers_own_keys = settings.own_keys is not OwnKeysMode.OFF
    own_keys = VisitorKeys(settings, catalog.get, metrics.observe) if offers_own_keys else None
    embedded = embedded_model_id(settings.embedded_model)
    quota = QuotaGateway(
        gateway,
        RequestLimits.from_settings(settings),
        counters,
        card_by_id.get,
        fallbacks=settings.fallback_models,
        free_models=frozenset({embedded} if settings.embedded_enabled else ()),
        own_keys=own_keys,
    )
    problems += price_problems(settings, catalog.cards)
    has_key_budgets = any(key.limits.has_budget for key in settings.gateway_keys)
    backend = quota if settings.limited or offers_own_keys or has_key_budgets else gateway
    metrics.is_known_model = lambda model: _is_known(model, catalog, gateway)
    metrics.watch(gateway.endpoints)
    auth = ApiKeyAuth(
        settings.gateway_keys,
        keys_configured=settings.gateway_keys_configured,
        is_local=locality_check(published=settings.published),
    )
    app = App(
        settings=settings,
        catalog=catalog,
        gateway=gateway,
        backend=backend,
        api=ApiDeps(gateway=backend, catalog=catalog, auth=auth, limiter=limiter, metrics=metrics),
        limiter=limiter,
        embedded=_build_embedded(settings, gateway) if settings.embedded_enabled else None,
        health=health,
        health_prober=health_prober,
        signer=Signer(secret.get_secret_value() if secret else ""),
        shared=shared,
        problems=tuple(problems),
    )
    return _with_page(app) if page else app


def _transport(settings: Settings) -> Transport | None:
    if not any(isinstance(entry, FunctionEndpoint) for entry in settings.endpoints):
        return None
    from akash_gradio.gateway.passthrough.transport import HttpTransport

    if not settings.zero_gpu:
        return FunctionTransport(HttpTransport())
    from akash_gradio.ui.zerogpu import close_sockets_in_workers, set_quota_token

    close_sockets_in_workers()
    return FunctionTransport(HttpTransport(), set_quota_token)


def _is_known(model: str, catalog: Catalog, gateway: Gateway) -> bool:
    card = catalog.get(model)
    if card is not None and card.id == model:
        return True
    return any(
        model == served.id for status in gateway.endpoints() for served in status.models or ()
    )


def _build_embedded(settings: Settings, gateway: Gateway) -> EmbeddedEndpoint:
    models = (embedded_model_id(settings.embedded_model),)
    print_progress = terminal_progress()

    def on_progress(progress: Progress) -> None:
        if progress.stage is Stage.UNAVAILABLE:  # no request may wait for it
            gateway.remove_endpoint(EMBEDDED_ALIAS)
        elif progress.stage is not Stage.READY:
            gateway.expect_endpoint(EMBEDDED_ALIAS, models)
        print_progress(progress)

    embedded = EmbeddedEndpoint(
        settings,
        on_ready=gateway.put_endpoint,
        on_down=lambda: gateway.expect_endpoint(EMBEDDED_ALIAS, models),
        on_progress=on_progress,
    )
    gateway.expect_endpoint(EMBEDDED_ALIAS, models)
    return embedded


def _with_page(app: App) -> App:
    """Add the page's parts to the application."""
    from akash_gradio.catalog.thumbnails import Thumbnails
    from akash_gradio.check.service import CheckService
    from akash_gradio.compare.run_limits import StorageLimits
    from akash_gradio.compare.run_store import open_run_store
    from akash_gradio.compare.task import evaluate_in
    from akash_gradio.compare.votes.factory import open_vote_store
    from akash_gradio.files.reader import FileReader
    from akash_gradio.web.deps import (
        CatalogView,
        ChatDeps,
        CompareDeps,
        OperatorDeps,
        PageDeps,
        RunDeps,
        WebDeps,
    )
    from akash_gradio.web.errors import error_body
    from akash_gradio.web.notices import NoticeSource
    from akash_gradio.web.page_assets import inject_page_assets
    from akash_gradio.web.security import build_security_stack
    from akash_gradio.web.sign_in_page import sign_in_html

    settings, catalog, embedded, shared = app.settings, app.catalog, app.embedded, app.shared
    security = build_security_stack(
        settings,
        app.signer,
        app.limiter,
        error_body,
        sign_in_html,
        transform_html=inject_page_assets,
    )
    thumbnails = Thumbnails(ASSETS / "thumbnails")
    problems = (*app.problems, *thumbnails.problems(catalog.cards))
    gateway, votes = app.backend, open_vote_store(settings)
    models = CatalogView(
        catalog=catalog,
        endpoints=gateway.endpoints,
        allowed_models=frozenset(settings.allowed_models) or None,
        health=app.health.get,
    )
    notices = NoticeSource(
        endpoints=gateway.endpoints,
        problems=problems,
        late_problems=lambda: _fallback_problems(app.gateway),
        progress=lambda: embedded.progress if embedded else None,
        secrets=settings.secret_names,
        is_space=bool(settings.space_id),
        is_isolated=lambda: shared is not None and shared.alone,
    )
    page_deps = PageDeps(
        models=models,
        thumbnails=thumbnails,
        notices=notices,
        default_model=settings.default_model or "",
        runs_kept=settings.data_dir is not None,
        zero_gpu=settings.zero_gpu,
        ranges=settings.parameter_ranges,
        own_keys=settings.own_keys.value,
        own_key_endpoints=frozenset(e.name for e in settings.endpoints if accepts_visitor_keys(e)),
        signed_in=security.signed_in,
        user=security.user,
    )
    storage = StorageLimits(
        total_bytes=settings.run_storage_mb * 1_000_000,
        max_age_s=settings.run_retention_days * DAY_S,
    )
    work = app.api.work
    runs = open_run_store(
        settings.data_dir,
        gateway,
        catalog.get,
        lambda: security.running.closing,
        storage,
        evaluate_in(work),
    )
    is_local = locality_check(published=settings.published)
    operator = OperatorDeps(
        endpoints=gateway.endpoints,
        checks=CheckService(app.gateway.endpoint, catalog),
        is_operator=lambda scope: is_local(scope) or security.is_operator(scope),
    )
    deps = WebDeps(
        page=page_deps,
        chat=ChatDeps(gateway=gateway, models=models, work=work),
        compare=CompareDeps(
            gateway=gateway, models=models, limiter=app.limiter, work=work, votes=votes
        ),
        runs=RunDeps(runs=runs, models=models, limiter=app.limiter, work=work, votes=votes),
        operator=operator,
        files=FileReader(),
    )
    page = Page(deps=deps, security=security)
    return replace(app, problems=problems, page=page)


def _fallback_problems(gateway: Gateway) -> tuple[Problem, ...]:
    return tuple(
        Problem(where="FALLBACK_MODEL", value=describe_value(model), hint=UNKNOWN_FALLBACK)
        for model in gateway.unknown_fallbacks()
    )


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


# ── serving ──────────────────────────────────────────────────────────────────


def api_server_config(app: App) -> uvicorn.Config:
    """Return the uvicorn configuration that serves `/v1` alone, with uvloop if it is installed."""
    import uvicorn

    from akash_gradio.http.server_protocol import DirectProtocol
    from akash_gradio.http.shutdown import SHUTDOWN_GRACE_S

    return uvicorn.Config(
        app.asgi(),
        interface="asgi3",
        host=app.settings.server_name,
        port=app.settings.server_port,
        http=DirectProtocol,
        access_log=False,
        log_level="warning",
        lifespan="on",
        ws="none",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=round(SHUTDOWN_GRACE_S),
    )


def _serve_api(app: App, workers: int) -> None:
    from akash_gradio.http.server import raise_file_limit

    if workers > 1 and (error := _workers_error(app)):
        sys.exit(error)
    drop_unused_record_fields()
    app.announce("/v1")
    raise_file_limit()
    # Exclude permanent objects from garbage collection; answers create hardly any cycles.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    if workers == 1:
        _run_api_server(app)
    else:
        _run_workers(app, workers)


def _run_api_server(app: App, sockets: Sequence[socket.socket] | None = None) -> None:
    import uvicorn

    uvicorn.Server(api_server_config(app)).run(None if sockets is None else list(sockets))


def _workers_error(app: App) -> str:
    if not hasattr(os, "fork"):
        return "--workers needs Linux or macOS."
    if app.embedded is not None:
        return "--workers needs ENDPOINTS, or EMBEDDED=off: the embedded model runs in one process."
    return ""


def _run_workers(app: App, workers: int) -> None:
    from akash_gradio.http.workers import Supervisor, bind_sockets

    shared = "are shared through REDIS_URL" if app.shared else "hold per worker (see REDIS_URL)"
    sys.stderr.write(f"{workers} workers; rate limits and budgets {shared}.\n")
    with TemporaryDirectory(prefix="akash-gradio-") as folder:

        def serve(worker: int, sockets: Sequence[socket.socket]) -> None:
            metrics = WorkerMetrics(app.api.metrics.export, Path(folder), worker, workers)
            served = replace(app, api=replace(app.api, worker_metrics=metrics))
            _run_api_server(served, sockets)

        sockets = bind_sockets(app.settings.server_name, app.settings.server_port, workers)
        Supervisor(sockets, serve).run()


def _serve_page(app: App, page: Page) -> None:
    from akash_gradio.http.server import (
        return_freed_memory,
        serve_until_signaled,
        watch_sigterm,
    )

    return_freed_memory()
    app.announce()
    sigterm = watch_sigterm()
    blocks = _launch_blocks(app, page)
    # Exclude permanent objects: collecting them would pause every running answer.
    gc.freeze()
    serve_until_signaled(blocks.server, page.security.running, sigterm)


def _launch_blocks(app: App, page: Page) -> Blocks:
    from akash_gradio.http.server import raise_file_limit
    from akash_gradio.http.server_protocol import ServerProtocol

    blocks = _build_blocks(app)
    blocks.launch(**_launch_options(app, page))
    raise_file_limit()
    config = blocks.server.config
    config.http_protocol_class = ServerProtocol
    config.loaded_app = allow_cross_origin(config.loaded_app, app.settings.allowed_origins)
    return blocks


def _build_blocks(app: App) -> Blocks:
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
    from akash_gradio.ui.blocks import build_ui

    blocks = build_ui(app.settings.parameter_ranges)
    # Without a size, Gradio takes 1 on ZeroGPU.
    blocks.queue(default_concurrency_limit=None, max_size=MAX_GRADIO_QUEUE)
    return blocks


def mount_page(app: App, parent: Starlette, path: str) -> None:
    """Serve the page below a path of another app, which starts and ends it.

    Args:
        app: The application.
        parent: The app that serves.
        path: Where, without a `/` at its end.
    """
    assert app.page is not None
    import gradio

    from akash_gradio.ui.theme import page_theme

    server: Any = parent  # Gradio expects a FastAPI app, and uses only what Starlette has
    gradio.mount_gradio_app(
        server,
        _build_blocks(app),
        path,
        theme=page_theme(),
        footer_links=[],
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        show_error=False,
        max_file_size="1kb",
        app_kwargs={
            **_starlette_options(app, app.page),
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    )


def _launch_options(app: App, page: Page) -> dict[str, Any]:
    """Return the arguments of `Blocks.launch`; everything that visitors don't need is off."""
    from akash_gradio.ui.theme import page_theme
    from akash_gradio.web.templating import ICON

    return {
        "server_name": app.settings.server_name,
        "server_port": app.settings.server_port,
        "root_path": app.settings.root_path,
        "theme": page_theme(),
        "favicon_path": ICON,
        "footer_links": [],
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "show_error": False,
        "max_file_size": "1kb",  # the page uploads nothing to Gradio
        "prevent_thread_lock": True,
        "share": False,
        "quiet": True,
        "app_kwargs": {
            **_starlette_options(app, page),
            "docs_url": None,
            "redoc_url": None,
            "openapi_url": None,
        },
    }


def _starlette_options(app: App, page: Page) -> dict[str, Any]:
    from starlette.middleware import Middleware
    from starlette.routing import Route

    from akash_gradio.web.route_table import RouteTable
    from akash_gradio.web.routes import page_routes

    routes = page_routes(page.deps)
    api = (Route(path, route) for path, route in api_routes(app.api).items())
    return {
        "routes": [*routes, *api],
        "middleware": [Middleware(page.security.wrap, routes=RouteTable(routes))],
        "lifespan": app.lifespan,
    }
