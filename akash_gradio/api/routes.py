"""The routes of the API, served alone or beside the page."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from akash_gradio.api.chat_completions import PassthroughBackend, complete
from akash_gradio.api.errors import internal_error
from akash_gradio.api.http_call import HttpCall
from akash_gradio.api.metrics import CONTENT_TYPE, Metrics
from akash_gradio.api.models import available_models, list_model_objects, unavailable_reason
from akash_gradio.api.openapi import openapi_bytes
from akash_gradio.api.worker_metrics import WorkerMetrics
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.errors import UnknownModel, UserError
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.http.asgi import ASGIApp, Receive, Scope, Send
from akash_gradio.http.body import ClientDisconnected
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.work.pool import WorkPool

logger = logging.getLogger(__name__)

Handler = Callable[[HttpCall], Awaitable[None]]
GET: Final = frozenset({"GET", "HEAD"})
POST: Final = frozenset({"POST"})


class ApiBackend(PassthroughBackend, Protocol):
    """What the API serves: a `Gateway`, or a `QuotaGateway` in front of it."""

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Return the current state of every endpoint."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """What the routes of the API use.

    Attributes:
        gateway: Answers chat requests.
        catalog: Names and limits of the models.
        auth: Authenticates API clients.
        limiter: Counts the requests of each API key.
        metrics: Metrics for Prometheus.
        worker_metrics: The metrics of all worker processes, None if there is only this one.
        work: Runs what takes CPU time.
    """

    gateway: ApiBackend
    catalog: Catalog
    auth: ApiKeyAuth
    limiter: RateLimiter
    metrics: Metrics
    work: WorkPool = field(default_factory=WorkPool)
    worker_metrics: WorkerMetrics | None = None


def api_routes(deps: ApiDeps) -> Mapping[str, ASGIApp]:
    """Return an app for each path pattern, in Starlette's notation; the first match wins."""
    handlers = _Handlers(deps)
    return {
        "/v1/chat/completions": _Route(handlers.complete, POST),
        "/v1/models": _Route(handlers.list_models, GET),
        "/v1/models/{model:path}": _Route(handlers.get_model, GET),
        "/v1/openapi.json": _Route(handlers.describe, GET),
        "/v1/{rest:path}": _Route(handlers.not_found, GET | POST),
        "/healthz": _Route(handlers.report_health, GET),
        "/metrics": _Route(handlers.export_metrics, GET),
    }


class _Handlers:
    """The handler of each route."""

    def __init__(self, deps: ApiDeps) -> None:
        self._deps = deps
        self._started_at = int(time.time())

    def complete(self, call: HttpCall) -> Awaitable[None]:
        # Not a coroutine function, so that the events of a stream pass one frame less.
        deps = self._deps
        return complete(call, deps.gateway, deps.auth, deps.limiter, deps.work)

    async def list_models(self, call: HttpCall) -> None:
        await call.respond_json({"object": "list", "data": self._models(call)})

    async def get_model(self, call: HttpCall) -> None:
        models = self._models(call)
        model_id = call.scope["path_params"]["model"]
        model = next((model for model in models if model["id"] == model_id), None)
        if model is None:
            raise UnknownModel(model_id)
        await call.respond_json(model)

    async def describe(self, call: HttpCall) -> None:
        self._deps.auth.authenticate(call.scope)
        await call.respond(openapi_bytes())

    async def report_health(self, call: HttpCall) -> None:
        endpoints = self._deps.gateway.endpoints()
        count = available_models(endpoints)
        if count:
            await call.respond_json({"status": "ok", "models": count})
        else:
            reason = unavailable_reason(endpoints)
            await call.respond_json({"status": "unavailable", "reason": reason}, 503)

    async def export_metrics(self, call: HttpCall) -> None:
        self._deps.auth.authenticate_metrics(call.scope)
        workers = self._deps.worker_metrics
        body = self._deps.metrics.export() if workers is None else await workers.export_all()
        await call.respond(body, content_type=CONTENT_TYPE)

    async def not_found(self, call: HttpCall) -> None:
        self._deps.auth.authenticate(call.scope)
        raise UserError("not_found", {"path": call.scope["path"][:200]}, 404)

    def _models(self, call: HttpCall) -> list[dict[str, object]]:
        deps = self._deps
        client = deps.auth.authenticate(call.scope)
        endpoints = deps.gateway.endpoints()
        return list_model_objects(deps.catalog, endpoints, client, self._started_at)


class _Route:
    """Runs a handler, and renders its errors in OpenAI's shape."""

    def __init__(self, handler: Handler, methods: frozenset[str]) -> None:
        self._handler, self._methods = handler, methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = HttpCall(scope, receive, send)
        try:
            if scope["method"] not in self._methods:
                allowed = ", ".join(sorted(self._methods))
                raise UserError("method_not_allowed", {"allowed": allowed}, 405)
            await self._handler(call)
        except UserError as error:
            logger.debug("api.refused", extra={"request": call.id, "outcome": error.code})
            await call.fail(error)
        except (ClientDisconnected, OSError):
            return
        except Exception as error:  # a bug: log where it is, and send no detail
            logger.error("api.failed", extra={"request": call.id, "outcome": _location(error)})
            await call.fail(internal_error())


def _location(error: Exception) -> str:
    """Return the type and place of an exception; its message may contain user text."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
    return f"{type(error).__name__} in {where}"
