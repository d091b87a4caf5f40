"""Converts errors to the JSON that the page shows, with the texts of `texts.py`."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse

from akash_gradio.domain import errors
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.failure_kinds import FailureKind
from akash_gradio.domain.receipt import Receipt
from akash_gradio.formatting import format_duration
from akash_gradio.web import texts

OPERATOR_KINDS: Final = frozenset(
    {
        FailureKind.KEY,
        FailureKind.CREDIT,
        FailureKind.QUOTA,
        FailureKind.FORBIDDEN,
        FailureKind.MODEL_DENIED,
        FailureKind.WRONG_URL,
    }
)
"""Refusals that only the operator can fix: the API key, the account or the address is at fault."""


def error_view(error: UserError, model_name: str = "") -> dict[str, Any]:
    """Return an error as the page's scripts read it.

    Args:
        error: A request's error, or what the gateway or the quota gateway raised.
        model_name: The display name of the requested model.

    Returns:
        `title` (what happened), `hint` (what to do), `details` (the endpoint's own message, ""
        without one), `retry` (whether to offer another attempt) and `code`.
    """
    text = _error_text(error)
    facts = _error_facts(error, model_name)
    return {
        "title": text.title.format_map(facts),
        "hint": text.hint.format_map(facts),
        "details": facts["detail"] if isinstance(error, errors.AkashGradioError) else "",
        "retry": _can_retry(error),
        "code": error.code,
    }


def error_response(error: UserError) -> JSONResponse:
    """Return the error as the response to a request of the page."""
    return JSONResponse({"error": error_view(error)}, status_code=error.status)


def error_body(code: str, **facts: str) -> dict[str, object]:
    """Return the JSON of an error that the security middleware reports.

    `message` and `type` are for clients of `/v1`, whose requests pass the middleware too.
    """
    view = error_view(UserError(code, facts))
    return {
        "error": {**view, "message": f"{view['title']} {view['hint']}", "type": "refused"},
    }


def failure_text(error: errors.EndpointError) -> str:
    """Return one sentence about one failed attempt."""
    if isinstance(error, errors.EndpointRefused) and (text := texts.REFUSED.get(error.kind)):
        return text.format(alias=error.alias, status=error.upstream_status)
    if isinstance(error, errors.EndpointMalformed) and error.reason == "cut":
        return texts.CONNECTION_LOST.format(alias=error.alias)
    return _error_text(error).title.format_map(_failure_facts(error))


def _can_retry(error: UserError) -> bool:
    if isinstance(error, errors.AkashGradioError):
        final = errors.RequestRefused | errors.UnknownModel | errors.NotAllowed
        return not isinstance(error, final)
    return error.code in ("shutting_down", "bodies_full")


def _error_text(error: UserError) -> texts.ErrorText:
    """Return the text of an error, or of its reason if that has a text of its own."""
    reasons = [str(getattr(error, name, "")) for name in ("reason", "stage", "kind")]
    if isinstance(error, errors.AllEndpointsFailed) and error.resting:
        reasons.append("resting")
    if isinstance(error, errors.NotAllowed) and (error.low or error.high):
        reasons.append("value")
    for reason in reasons:
        if text := texts.ERRORS.get(f"{error.code}.{reason}"):
            return text
    return texts.ERRORS[error.code]


def _error_facts(error: UserError, model_name: str) -> dict[str, object]:
    if not isinstance(error, errors.AkashGradioError):
        return dict(error.facts)
    facts: dict[str, object] = {
        "model": model_name or getattr(error, "model", ""),
        "alias": getattr(error, "alias", ""),
        "detail": str(getattr(error, "detail", "")),
        "status": getattr(error, "upstream_status", ""),
        "counts": "",
    }
    cause = getattr(error, "cause", None)
    if isinstance(cause, errors.EndpointError):
        facts["cause"] = failure_text(cause)
        facts["detail"] = str(getattr(cause, "detail", ""))
    if isinstance(error, errors.AllEndpointsFailed):
        facts["tries"] = _attempts_text(error.receipt)
        facts["again"] = _retry_text(error)
    if isinstance(error, errors.ContextExceeded) and error.requested_tokens and error.limit_tokens:
        facts["counts"] = texts.TOKEN_COUNTS.format(
            requested=f"{error.requested_tokens:,}", limit=f"{error.limit_tokens:,}"
        )
    if isinstance(error, errors.EndpointError):
        facts |= _failure_facts(error)
    if isinstance(error, errors.NotAllowed):
        facts |= {"what": error.reason, "low": f"{error.low:g}", "high": f"{error.high:,.10g}"}
    if isinstance(error, errors.LimitReached):
        again_in = format_duration(error.retry_after_s)
        facts |= {"limit": f"{error.limit:,.0f}", "again_in": again_in}
    return facts


def _failure_facts(error: errors.EndpointError) -> dict[str, str]:
    facts = {"alias": error.alias}
    if isinstance(error, errors.EndpointUnreachable):
        facts["reason"] = texts.UNREACHABLE.get(error.reason, error.reason)
    if isinstance(error, errors.EndpointMalformed):
        facts["what"] = texts.MALFORMED.get(error.reason, error.reason)
    if isinstance(error, errors.EndpointTimeout):
        facts["after_s"] = f"{error.after_s:g}"
    if isinstance(error, errors.EndpointRefused):
        facts["status"] = str(error.upstream_status)
    return facts


def _attempts_text(receipt: Receipt | None) -> str:
    count = len(receipt.attempts) if receipt else 1
    return texts.MANY_ATTEMPTS.format(count=count) if count > 1 else ""


def _retry_text(error: errors.AllEndpointsFailed) -> str:
    cause = error.cause
    if isinstance(cause, errors.EndpointRefused) and cause.kind in OPERATOR_KINDS:
        return texts.ASK_OPERATOR
    if error.retry_after_s is None or error.retry_after_s < 1:
        return texts.RETRY_NOW
    return texts.RETRY_IN.format(wait=format_duration(error.retry_after_s))
