"""Routes of the endpoint checker, for the operator alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute
from starlette.types import ASGIApp

from akash_gradio.check.probe import Level
from akash_gradio.check.report import cost_facts
from akash_gradio.check.service import CheckService
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.size_limits import SMALL_BODY_BYTES
from akash_gradio.web import texts
from akash_gradio.web.deps import OperatorDeps
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.page_route import get, post, read_body

LEVELS: Final = {"quick": Level.QUICK, "standard": Level.STANDARD, "full": Level.FULL}


class CheckRequest(BaseModel):
    """A request to check an endpoint by its name, or any address.

    Attributes:
        endpoint: The alias of a configured endpoint, "" for an address.
        url: The address, "" for a configured endpoint.
        key: The API key for the address.
        model: The model to check, "" for the first one of the endpoint.
        level: How thorough the check is.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    endpoint: str = Field("", max_length=100)
    url: str = Field("", max_length=2000)
    key: SecretStr = Field(SecretStr(""), max_length=4000)
    model: str = Field("", max_length=300)
    level: Literal["quick", "standard", "full"] = "standard"


class CheckRoutes:
    """`page/check` and `page/check/run`."""

    def __init__(self, deps: OperatorDeps) -> None:
        self._deps = deps

    def routes(self) -> list[BaseRoute]:
        """Return the routes of the checker."""
        return [get("/page/check", self.options), post("/page/check/run", self.run)]

    async def options(self, request: Request) -> ASGIApp:
        """Return the endpoints, the cost of each level, and the texts."""
        self._checks_for(request)
        return JSONResponse(self._view())

    async def run(self, request: Request) -> ASGIApp:
        """Stream the findings of a check."""
        checks = self._checks_for(request)
        return EventStream(_start(checks, _parse(await read_body(request, SMALL_BODY_BYTES))))

    def _checks_for(self, request: Request) -> CheckService:
        """Return the check service if the request comes from the operator.

        Visitors have no access, since a check sends requests to any address.

        Raises:
            UserError: `operator_only`.
        """
        checks = self._deps.checks
        if checks is None or not self._deps.is_operator(request.scope):
            raise UserError("operator_only", status=403)
        return checks

    def _view(self) -> dict[str, Any]:
        return {
            "strings": dict(texts.CHECK),
            "endpoints": [
                {"alias": status.alias, "models": [model.id for model in status.models or ()]}
                for status in self._deps.endpoints()
            ],
            "costs": {name: cost_facts(level) for name, level in LEVELS.items()},
        }


def _parse(body: bytes) -> CheckRequest:
    invalid = UserError("invalid_request", {"detail": texts.CHECK["shape"]})
    try:
        request = CheckRequest.model_validate_json(body)
    except ValidationError:
        raise invalid from None
    if bool(request.endpoint) == bool(request.url.strip()):
        raise invalid
    return request


def _start(checks: CheckService, request: CheckRequest) -> AsyncGenerator[Mapping[str, Any], None]:
    level, model = LEVELS[request.level], request.model.strip() or None
    if request.endpoint:
        return checks.check_endpoint(request.endpoint, model, level)
    key = request.key.get_secret_value().strip()
    return checks.check_address(request.url.strip(), SecretStr(key) if key else None, model, level)
