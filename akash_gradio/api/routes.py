"""The addresses of the OpenAI-compatible face, to be served alone or beside the page."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from akash_gradio.api.chat_completions import complete
from akash_gradio.api.errors import SERVER, Fault, no_such_model
from akash_gradio.api.http_call import Call
from akash_gradio.api.metrics import CONTENT_TYPE, Metrics
from akash_gradio.api.models import answerable, model_objects, why_none
from akash_gradio.api.openapi import description_bytes
from akash_gradio.api.schemas import LeftEarly
from akash_gradio.auth.api_keys import ApiKeyAuth
from akash_gradio.catalog.loader import Catalog
from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.gateway import PassthroughItem, PassthroughRequest

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger(__name__)

Answer = Callable[[Call], Awaitable[None]]
GET: Final = frozenset({"GET", "HEAD"})
POST: Final = frozenset({"POST"})


class ChatBackend(Protocol):
    """What the API speaks for: a `Gateway`."""

    def passthrough(self, request: PassthroughRequest) -> AsyncGenerator[PassthroughItem, None]:
        """See `Gateway.passthrough`."""
        ...

    def endpoints(self) -> tuple[EndpointStatus, ...]:
        """Every endpoint's state now."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiDeps:
    """What the addresses need."""

    gateway: ChatBackend
    catalog: Catalog
    auth: ApiKeyAuth
    metrics: Metrics


def api_routes(api: ApiDeps) -> Mapping[str, ASGIApp]:
    """Every address, none of which the page has, as Starlette spells it; the first that fits."""
    created = int(time.time())

    def completions(call: Call) -> Awaitable[None]:
        return complete(call, api.gateway, api.auth)

    async def models(call: Call) -> None:
        caller = api.auth.admit(call.scope)
        found = model_objects(api.catalog, api.gateway.endpoints(), caller, created)
        await call.reply_json({"object": "list", "data": found})

    async def model(call: Call) -> None:
        caller = api.auth.admit(call.scope)
        wanted = call.scope["path_params"]["model"]
        found = model_objects(api.catalog, api.gateway.endpoints(), caller, created)
        one = next((each for each in found if each["id"] == wanted), None)
        if one is None:
            raise no_such_model(wanted)
        await call.reply_json(one)

    async def described(call: Call) -> None:
        await call.reply(description_bytes())

    async def health(call: Call) -> None:
        endpoints = api.gateway.endpoints()
        count = answerable(endpoints)
        if count:
            await call.reply_json({"status": "ok", "models": count})
        else:
            await call.reply_json({"status": "unavailable", "reason": why_none(endpoints)}, 503)

    async def numbers(call: Call) -> None:
        api.auth.admit_to_numbers(call.scope)
        await call.reply(api.metrics.page(), content_type=CONTENT_TYPE)

    async def nothing(call: Call) -> None:
        api.auth.admit(call.scope)
        path = call.scope["path"]
        raise Fault(status=404, message=f"there is nothing at {path[:200]}", code="not_found")

    return {
        "/v1/chat/completions": _Address(completions, POST),
        "/v1/models": _Address(models, GET),
        "/v1/models/{model:path}": _Address(model, GET),
        "/v1/openapi.json": _Address(described, GET),
        "/v1/{rest:path}": _Address(nothing, GET | POST),
        "/healthz": _Address(health, GET),
        "/metrics": _Address(numbers, GET),
    }


class _Address:
    """Gives one answer; whatever goes wrong is told in OpenAI's shape."""

    def __init__(self, answer: Answer, methods: frozenset[str]) -> None:
        self._answer, self._methods = answer, methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        try:
            if scope["method"] not in self._methods:
                allowed = ", ".join(sorted(self._methods))
                raise Fault(status=405, message=f"ask with {allowed}", headers={"allow": allowed})
            await self._answer(call)
        except Fault as fault:
            logger.debug("api.refused", extra={"request": call.id, "status": fault.status})
            await call.fail(fault)
        except (LeftEarly, OSError):
            return
        except Exception as error:  # a mistake of ours: the caller gets its shape, the log no word
            logger.error("api.failed", extra={"request": call.id, "outcome": _place(error)})
            await call.fail(Fault(status=500, message="the gateway failed", type=SERVER))


def _place(error: Exception) -> str:
    """What it was and where; its message might hold what somebody wrote."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f"{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace is not None else "?"
    return f"{type(error).__name__} in {where}"
