"""The error tree. Errors carry facts; each surface words them with its own registry of texts.

    UserError                         a code, its facts, and the status of an HTTP response
    └── AkashGradioError              leaves the gateway, or a quota before it
        ├── RequestRefused            the request is at fault; other requests are not affected
        │   └── ContextExceeded       it is longer than the model's context
        ├── NotAllowed                the configuration forbids a model, a value or a length
        ├── LimitReached              a quota is used up until a known time
        ├── UnknownModel              neither the catalog nor an endpoint has the model
        ├── NoEndpoint                the model is known, but no endpoint serves it now
        ├── AllEndpointsFailed        every endpoint and every fallback failed
        ├── ReplyInterrupted          the answer ended early, after its first token
        └── EndpointError             one attempt failed before its first token
            ├── EndpointUnreachable   no connection: DNS, refused, TLS, reset
            ├── EndpointTimeout       no data in time: connect, first token, idle
            ├── EndpointRefused       an HTTP status other than success
            ├── EndpointMalformed     the response doesn't follow the protocol
            └── EndpointSilent        a well-formed answer without any text

`NotAllowed` and `LimitReached` are raised by `quota`, before the gateway is called. The gateway
raises `RequestRefused`, `UnknownModel`, `NoEndpoint`, `AllEndpointsFailed` and `ReplyInterrupted`;
an `EndpointError` stays inside it, as the cause of one of these.

No error holds a key, a header, a URL or an object of the HTTP client.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.failure_kinds import KIND_OF_STATUS, FailureKind
from akash_gradio.domain.receipt import Receipt


class UserError(Exception):
    """An error that is reported to the user who caused or met it.

    It carries facts; each surface (page, `/v1`, terminal) renders them with its own registry
    of texts, keyed by the code.

    Attributes:
        code: Stable identifier in snake_case, the key of the registries.
        facts: Values that fill the text. They never hold a secret, a prompt or an answer.
        status: HTTP status of the response where there is one.
    """

    code = ""
    status = 400

    def __init__(
        self, code: str, facts: Mapping[str, object] = EMPTY_MAPPING, status: int = 400
    ) -> None:
        super().__init__(code)
        self.code, self.status = code, status
        self._facts = facts

    @property
    def facts(self) -> Mapping[str, object]:
        """Values that fill the text, by name."""
        return self._facts


class AkashGradioError(UserError):
    """The root of the errors of a chat request.

    A subclass states its `code` and `status`; its public attributes are its facts. `str` gives
    the facts in a short English phrase, for logs and reports.

    Attributes:
        receipt: What was tried before the error, None when nothing was.
    """

    code = "gateway_error"
    status = 500
    receipt: Receipt | None = None

    def __init__(self, phrase: str = "") -> None:
        Exception.__init__(self, phrase)

    @property
    def facts(self) -> Mapping[str, object]:
        """The public attributes, as they are now: `detail` may be redacted after the raise."""
        return {
            name: value
            for name, value in vars(self).items()
            if name not in ("status", "receipt") and not name.startswith("_")
        }


class RequestRefused(AkashGradioError):
    """An endpoint rejected the request itself as invalid.

    Attributes:
        alias: The endpoint's public name.
        upstream_status: The HTTP status that it responded with.
        detail: Its own message, at most 500 characters, "" when it sent none.
        upstream_code: Its own error code, "" when it sent none.
        param: The argument that it names as the cause, "" when it names none.
        kind: What the refusal means.
    """

    code = "request_refused"
    status = 400

    def __init__(
        self,
        alias: str,
        upstream_status: int,
        detail: str = "",
        *,
        upstream_code: str = "",
        param: str = "",
        kind: FailureKind = FailureKind.INVALID,
    ) -> None:
        super().__init__(f"{alias} refused the request with {upstream_status}")
        self.alias, self.upstream_status, self.detail = alias, upstream_status, detail
        self.upstream_code, self.param, self.kind = upstream_code, param, kind
        if upstream_status < 500:  # some servers send 500 for what is the request's fault
            self.status = upstream_status


class ContextExceeded(RequestRefused):
    """The conversation is longer than the model's context.

    Attributes:
        limit_tokens: The size of the context, None when the endpoint didn't report it.
        requested_tokens: The size of the request, None when the endpoint didn't report it.
    """

    code = "context_exceeded"

    def __init__(
        self,
        alias: str,
        upstream_status: int,
        detail: str = "",
        *,
        upstream_code: str = "",
        param: str = "",
        limit_tokens: int | None = None,
        requested_tokens: int | None = None,
    ) -> None:
        super().__init__(
            alias,
            upstream_status,
            detail,
            upstream_code=upstream_code,
            param=param,
            kind=FailureKind.TOO_LONG,
        )
        self.limit_tokens, self.requested_tokens = limit_tokens, requested_tokens


class NotAllowed(AkashGradioError):
    """The configuration doesn't allow it.

    Attributes:
        reason: What isn't allowed: `model`, `price` (a model without one, where the cost is
            limited), `length` (of a message), `request_length` (of everything that is sent),
            `own_key` (a key of the visitor's own), `own_endpoint` (an address that requests may
            not go to), or the wire name of a parameter.
        low: Lower bound of the allowed range, 0 where there is no range.
        high: Upper bound of the allowed range; characters for a length, 0 where there is none.
    """

    code = "not_allowed"
    status = 403

    def __init__(self, reason: str, *, low: float = 0, high: float = 0) -> None:
        super().__init__(f"{reason} is not allowed")
        self.reason, self.low, self.high = reason, low, high


class LimitReached(AkashGradioError):
    """A quota is used up.

    Attributes:
        reason: Which one: `messages` (of a visitor per minute), `tokens` (of a visitor per day),
            `cost` (of an API key per day), `app_tokens` and `app_cost` (of all per day),
            `reserved` (running requests hold what remains of one of these), `queue` (too many
            requests wait), `work` (CPU time of a visitor).
        limit: The quota, 0 where it isn't disclosed.
        retry_after_s: Seconds until requests are accepted again.
    """

    code = "limit_reached"
    status = 429

    def __init__(self, reason: str, *, limit: float = 0, retry_after_s: float) -> None:
        super().__init__(f"limit of {reason} reached, for {retry_after_s:.0f} s")
        self.reason, self.limit, self.retry_after_s = reason, limit, retry_after_s


class UnknownModel(AkashGradioError):
    """No catalog entry and no endpoint has this model id."""

    code = "unknown_model"
    status = 404

    def __init__(self, model: str) -> None:
        super().__init__(f"unknown model {model!r}")
        self.model = model


class NoEndpoint(AkashGradioError):
    """No endpoint can serve the model now.

    Attributes:
        model: The requested model.
        reason: `none_configured`, `none_serves` (no endpoint lists the model), `drained`
            (weight 0), `starting` (the embedded model isn't loaded yet) or `busy`
            (all endpoints are at their maximum concurrency).
    """

    code = "no_endpoint"
    status = 503

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"no endpoint for {model!r}: {reason}")
        self.model, self.reason = model, reason


class AllEndpointsFailed(AkashGradioError):
    """Every endpoint of the model and of its fallbacks failed.

    Attributes:
        model: The requested model.
        cause: The last failure.
        retry_after_s: Seconds until one of them may be tried again, None when unknown.
        resting: Whether none was tried, because all are paused after earlier failures.
    """

    code = "all_endpoints_failed"

    def __init__(
        self,
        model: str,
        cause: EndpointError,
        *,
        retry_after_s: float | None = None,
        resting: bool = False,
    ) -> None:
        if resting:
            wait = "" if retry_after_s is None else f" for {math.ceil(retry_after_s)} s"
            super().__init__(f"all endpoints of {model!r} are paused{wait}: {cause}")
        else:
            super().__init__(f"no endpoint answered for {model!r}: {cause}")
        self.model, self.cause = model, cause
        self.retry_after_s, self.resting = retry_after_s, resting
        self.status = 503 if resting and cause.status != 429 else cause.status


class ReplyInterrupted(AkashGradioError):
    """The answer ended early, after its first token; what came before it was delivered.

    Attributes:
        alias: The endpoint's public name.
        cause: The failure that ended it.
    """

    code = "reply_interrupted"
    status = 502

    def __init__(self, alias: str, cause: EndpointError) -> None:
        super().__init__(f"{alias} interrupted the answer: {cause}")
        self.alias, self.cause = alias, cause


class EndpointError(AkashGradioError):
    """One endpoint failed once.

    Attributes:
        alias: The endpoint's public name.
    """

    code = "endpoint_error"
    status = 502

    def __init__(self, alias: str, phrase: str) -> None:
        super().__init__(f"{alias}: {phrase}")
        self.alias = alias


class EndpointUnreachable(EndpointError):
    """No connection could be made, or it was lost before the response.

    Attributes:
        reason: `dns`, `refused`, `tls`, `reset` or `connect`.
    """

    code = "endpoint_unreachable"

    def __init__(self, alias: str, reason: str) -> None:
        super().__init__(alias, f"unreachable ({reason})")
        self.reason = reason


class EndpointTimeout(EndpointError):
    """The endpoint sent no data in time.

    Attributes:
        stage: What was waited for: `connect`, `first_token`, `idle`, or the end of the whole
            `request` (REQUEST_TIMEOUT).
        after_s: Seconds waited.
    """

    code = "endpoint_timeout"
    status = 504

    def __init__(self, alias: str, stage: str, after_s: float) -> None:
        whole = stage == "request"
        phrase = f"not finished within {after_s:g} s" if whole else f"no data for {after_s:g} s"
        super().__init__(alias, f"{phrase} ({stage})")
        self.stage, self.after_s = stage, after_s


class EndpointRefused(EndpointError):
    """The endpoint responded with an error status; another endpoint may accept the request.

    Attributes:
        upstream_status: The HTTP status that the endpoint responded with.
        retry_after_s: Seconds of delay that it requested, None when it didn't.
        detail: Its own message, at most 500 characters, with anything that looks like a key
            removed.
        upstream_code: Its own error code, "" when it sent none.
        kind: What the refusal means, by the status alone unless it is given.
    """

    code = "endpoint_refused"

    def __init__(
        self,
        alias: str,
        upstream_status: int,
        *,
        retry_after_s: float | None = None,
        detail: str = "",
        upstream_code: str = "",
        kind: FailureKind | None = None,
    ) -> None:
        super().__init__(alias, f"status {upstream_status}")
        self.upstream_status, self.retry_after_s = upstream_status, retry_after_s
        self.detail, self.upstream_code = detail, upstream_code
        self.kind = kind or KIND_OF_STATUS.get(upstream_status, FailureKind.SERVER)
        if upstream_status == 429 or kind is FailureKind.QUOTA:
            self.status = 429


class EndpointMalformed(EndpointError):
    """The response doesn't follow the protocol.

    Attributes:
        reason: `html`, `json`, `error_body`, `too_long`, `shape`, `encoding` or `cut` (the
            connection ended in the middle).
        detail: The endpoint's own message where it sent an error object, at most 500 characters.
    """

    code = "endpoint_malformed"

    def __init__(self, alias: str, reason: str, detail: str = "") -> None:
        super().__init__(alias, f"malformed response ({reason})")
        self.reason, self.detail = reason, detail


class EndpointSilent(EndpointError):
    """A well-formed answer without any text."""

    code = "endpoint_silent"

    def __init__(self, alias: str) -> None:
        super().__init__(alias, "empty answer")
