"""Renders every error that the page's API returns, with the texts of `texts.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import JSONResponse

from akash_gradio.domain import errors
from akash_gradio.domain.errors import UserError
from akash_gradio.domain.receipt import Receipt
from akash_gradio.formatting import format_duration
from akash_gradio.web import texts

OPERATOR_STATUSES: Final = (401, 402, 403)
"""Statuses that only the operator can fix: the endpoint's API key or account is at fault."""

# ── errors of a request ─────────────────────────────────────────────────────


def error_response(error: UserError) -> JSONResponse:
    """Return the error as the JSON response that the page's scripts read."""
    return JSONResponse(render_error(error.code, error.facts), status_code=error.status)


def error_body(code: str, **facts: str) -> dict[str, object]:
    """Return the JSON of an error that the security middleware reports; see `render_error`."""
    return render_error(code, facts)


def render_error(code: str, facts: Mapping[str, object]) -> dict[str, object]:
    """Return the JSON of an error.

    Args:
        code: A key of `texts.USER_ERRORS`.
        facts: Values for the placeholders of its text.

    Returns:
        `{"error": {title, hint, details, retry, message, type, code}}`. The page reads the first
        four; `message`, `type` and `code` are for clients of `/v1`, whose requests pass through
        the same middleware.
    """
    title, hint = (text.format_map(facts) for text in texts.USER_ERRORS[code])
    view = {"title": title, "hint": hint, "details": "", "retry": code == "shutting_down"}
    return {"error": {**view, "message": f"{title} {hint}", "type": "refused", "code": code}}


# ── errors of an answer ─────────────────────────────────────────────────────


def error_view(error: errors.AkashGradioError, model_name: str) -> dict[str, Any]:
    """Return what the page shows of a failed answer.

    Args:
        error: What the gateway or the quota gateway raised.
        model_name: The display name of the requested model.

    Returns:
        `title` (what happened), `hint` (what to do), `details` (the endpoint's own message, ""
        without one) and `retry` (whether another attempt can help).
    """
    text = _text_of(error)
    facts = _facts_of(error, model_name)
    return {
        "title": text.title.format_map(facts),
        "hint": text.hint.format_map(facts),
        "details": facts["detail"],
        "retry": not isinstance(
            error, errors.RequestRefused | errors.UnknownModel | errors.NotAllowed
        ),
    }


def _text_of(error: errors.AkashGradioError) -> texts.ErrorText:
    if isinstance(error, errors.NoEndpoint):
        special = texts.ERRORS.get(f"NoEndpoint.{error.reason}")
        if special is not None:
            return special
    if isinstance(error, errors.NotAllowed | errors.LimitReached):
        kind = type(error).__name__
        others = "value" if isinstance(error, errors.NotAllowed) and error.high else ""
        for name in (error.reason, others):
            if f"{kind}.{name}" in texts.ERRORS:
                return texts.ERRORS[f"{kind}.{name}"]
    return _text_of_class(error)


def _text_of_class(error: errors.AkashGradioError) -> texts.ErrorText:
    """Return the text of the error's class, or of the nearest base class that has one."""
    names = (kind.__name__ for kind in type(error).__mro__)
    return next(texts.ERRORS[name] for name in names if name in texts.ERRORS)


def _facts_of(error: errors.AkashGradioError, model_name: str) -> dict[str, str]:
    facts = {"model": model_name, "alias": getattr(error, "alias", ""), "counts": ""}
    facts["detail"] = str(getattr(error, "detail", ""))
    cause = getattr(error, "cause", None)
    if isinstance(cause, errors.EndpointError):
        facts["cause"] = failure_text(cause)
        facts["detail"] = str(getattr(cause, "detail", ""))
    if isinstance(error, errors.AllEndpointsFailed):
        facts["tries"] = _attempts_text(error.receipt)
        facts["again"] = _retry_text(error)
    if isinstance(error, errors.ContextExceeded) and error.requested_tokens and error.limit_tokens:
        facts["counts"] = texts.TOKEN_COUNTS.format(
            asked=f"{error.requested_tokens:,}", limit=f"{error.limit_tokens:,}"
        )
    if isinstance(error, errors.EndpointError):
        facts.update(_facts_of_failure(error))
    if isinstance(error, errors.NotAllowed):
        facts |= {"what": error.reason, "low": f"{error.low:g}", "high": f"{error.high:,.10g}"}
    if isinstance(error, errors.LimitReached):
        again_in = format_duration(error.retry_after_s)
        facts |= {"most": f"{error.limit:,.0f}", "again_in": again_in}
    return facts


def failure_text(error: errors.EndpointError) -> str:
    """Return one sentence about one failed attempt."""
    if isinstance(error, errors.EndpointRefused) and error.upstream_status in texts.REFUSED_STATUS:
        return texts.REFUSED_STATUS[error.upstream_status].format(alias=error.alias)
    if isinstance(error, errors.EndpointMalformed) and error.reason == "cut":
        return texts.CONNECTION_LOST.format(alias=error.alias)
    return _text_of_class(error).title.format_map(_facts_of_failure(error))


def _facts_of_failure(error: errors.EndpointError) -> dict[str, str]:
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
    if (
        isinstance(error.cause, errors.EndpointRefused)
        and error.cause.upstream_status in OPERATOR_STATUSES
    ):
        return texts.ASK_OPERATOR
    if error.retry_after_s is None or error.retry_after_s < 1:
        return texts.RETRY_NOW
    return texts.RETRY_IN.format(seconds=f"{error.retry_after_s:.0f}")
