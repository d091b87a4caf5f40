"""What an endpoint's refusal means: the kinds of failure that a response can report."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class FailureKind(StrEnum):
    """The meaning of an error response, from its status and its body.

    `gateway/failure_policy.py` decides the kind and what follows from it.
    """

    # The request.
    INVALID = "invalid"
    """The request is not valid: a value, a type, a missing field."""
    TOO_LONG = "too_long"
    """It is longer than the model's context at this endpoint."""
    MODERATED = "moderated"
    """Its content was rejected by moderation."""
    BLOCKED = "blocked"
    """A firewall or proxy in front of the endpoint rejected it without a reason."""
    UNSUPPORTED = "unsupported"
    """It uses something that this endpoint lacks: tools, pictures, a parameter."""
    OVER_LIMIT = "over_limit"
    """It alone is larger than a limit of the account or of the proxy allows."""
    TEMPLATE = "template"
    """The server can't turn it into a prompt: a chat template, a picture, a tool's arguments."""
    # The model at this endpoint.
    MODEL_MISSING = "model_missing"
    """The endpoint doesn't have the model."""
    MODEL_DENIED = "model_denied"
    """The key may not use the model; it may use others."""
    MODEL_RATE_LIMIT = "model_rate_limit"
    """Too many requests or tokens for this model within a time."""
    # The key or the account.
    KEY = "key"
    """The key is missing, wrong or expired."""
    FORBIDDEN = "forbidden"
    """Access is denied, without it being clear that the key is the reason."""
    CREDIT = "credit"
    """The account has no credit."""
    QUOTA = "quota"
    """A quota that doesn't refill within minutes is used up."""
    RATE_LIMIT = "rate_limit"
    """Too many requests or tokens within a time."""
    # The endpoint.
    WRONG_URL = "wrong_url"
    """The server has nothing at the path: the base URL is wrong."""
    BUSY = "busy"
    """Too many requests at once."""
    LOADING = "loading"
    """The server or the model is starting."""
    TIMEOUT = "timeout"
    """A proxy or the server waited too long for the answer."""
    SERVER = "server"
    """The server failed."""


KIND_OF_STATUS: Final[dict[int, FailureKind]] = {
    400: FailureKind.INVALID,
    401: FailureKind.KEY,
    402: FailureKind.CREDIT,
    403: FailureKind.FORBIDDEN,
    404: FailureKind.MODEL_MISSING,
    405: FailureKind.WRONG_URL,
    408: FailureKind.TIMEOUT,
    410: FailureKind.MODEL_MISSING,
    413: FailureKind.OVER_LIMIT,
    418: FailureKind.BLOCKED,
    422: FailureKind.INVALID,
    429: FailureKind.RATE_LIMIT,
    451: FailureKind.MODERATED,
    501: FailureKind.UNSUPPORTED,
    504: FailureKind.TIMEOUT,
    522: FailureKind.TIMEOUT,  # Cloudflare: connection timed out
    524: FailureKind.TIMEOUT,  # Cloudflare: no response in time
} | dict.fromkeys((301, 302, 303, 307, 308), FailureKind.WRONG_URL)
"""The kind where neither code nor message says more; `SERVER` for any other status."""
