"""The addresses of the checker, for the host alone."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from akash_gradio.check.probe import Level
from akash_gradio.check.report import cost_facts
from akash_gradio.check.service import CheckError
from akash_gradio.domain.errors import UserError
from akash_gradio.web import texts
from akash_gradio.web.context import AppContext
from akash_gradio.web.event_stream import EventStream
from akash_gradio.web.page_route import PageAddress, read_body

LEVELS = {"quick": Level.QUICK, "standard": Level.STANDARD, "full": Level.FULL}


class AskedCheck(BaseModel):
    """What is to be checked: an endpoint by its name, or an address. model: "" for its first."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    endpoint: str = Field("", max_length=100)
    url: str = Field("", max_length=2000)
    key: SecretStr = Field(SecretStr(""), max_length=4000)
    model: str = Field("", max_length=300)
    level: Literal["quick", "standard", "full"] = "standard"


def check_routes(house: AppContext) -> list[BaseRoute]:
    """`page/check` and `page/check/run`, to be put before Gradio's."""

    async def offer(request: Request) -> ASGIApp:
        _for_the_host(house, request)
        return JSONResponse(check_view(house))

    async def run(request: Request) -> ASGIApp:
        _for_the_host(house, request)
        return EventStream(_begun(house, _read(await read_body(request))))

    return [
        Route("/page/check", PageAddress(offer), methods=["GET"]),
        Route("/page/check/run", PageAddress(run), methods=["POST"]),
    ]


def check_view(house: AppContext) -> dict[str, Any]:
    """The endpoints there are, what each level costs, and the words."""
    statuses = house.answerer.endpoints()
    return {
        "strings": dict(texts.CHECK),
        "endpoints": [
            {"alias": status.alias, "models": [model.id for model in status.models or ()]}
            for status in statuses
        ],
        "costs": {name: cost_facts(level) for name, level in LEVELS.items()},
    }


def _for_the_host(house: AppContext, request: Request) -> None:
    """Raises UserError for everybody else: a check asks other machines in this one's name."""
    if house.desk is None or not house.is_operator(request.scope):
        raise UserError("operator_only", status=403)


def _read(body: bytes) -> AskedCheck:
    try:
        asked = AskedCheck.model_validate_json(body)
    except ValidationError:
        raise UserError("invalid_request", {"detail": texts.CHECK["shape"]}) from None
    if bool(asked.endpoint) == bool(asked.url.strip()):
        raise UserError("invalid_request", {"detail": texts.CHECK["shape"]})
    return asked


def _begun(house: AppContext, asked: AskedCheck) -> AsyncGenerator[Mapping[str, Any], None]:
    assert house.desk is not None
    level, model = LEVELS[asked.level], asked.model.strip() or None
    try:
        if asked.endpoint:
            return house.desk.check_endpoint(asked.endpoint, model, level)
        key = SecretStr(asked.key.get_secret_value().strip())
        return house.desk.check_address(
            asked.url.strip(), key if key.get_secret_value() else None, model, level
        )
    except CheckError as error:
        raise UserError("cannot_check", {"reason": str(error)}, 422) from None
