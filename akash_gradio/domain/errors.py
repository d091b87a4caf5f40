"""The error tree. Facts, no sentences: the interface has the words (`ui/words.py`).

    AkashGradioError
    ├── RequestRefused            the request is at fault; no other endpoint is asked
    │   └── ContextExceeded       it is longer than the model's context
    ├── NotAllowed                the host doesn't allow this: a model, a value, a length
    ├── LimitReached              somebody's share is used up; it opens again
    ├── UnknownModel              nothing here is called that
    ├── NoEndpoint                the model is known, no endpoint serves it now
    ├── AllEndpointsFailed               every endpoint and fallback was tried in vain
    ├── ReplyInterrupted          the answer broke off after its first token
    └── EndpointError             one attempt failed before its first token
        ├── EndpointUnreachable   no connection: DNS, refused, TLS, reset
        ├── EndpointTimeout       nothing in time: connect, first_token, idle
        ├── EndpointRefused       an HTTP status that is no answer
        ├── EndpointMalformed       what came is not the protocol
        └── EndpointSilent        a stream that ended without a word

`NotAllowed` and `LimitReached` come from `edge`, before the gateway is asked.
`AllEndpointsFailed`, `ReplyInterrupted`, `RequestRefused`, `UnknownModel` and `NoEndpoint` leave
the gateway; `EndpointError` stays inside it, as the cause of the others.
No error holds a key, a header, a URL or an object of the HTTP client.
"""

from __future__ import annotations

from collections.abc import Mapping

from akash_gradio.domain.chat import EMPTY_MAPPING
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

    def __init__(
        self, code: str, facts: Mapping[str, object] = EMPTY_MAPPING, status: int = 400
    ) -> None:
        super().__init__(code)
        self.code, self.facts, self.status = code, facts, status


class AkashGradioError(Exception):
    """The root. receipt: what was tried before the error, None when nothing was."""

    receipt: Receipt | None = None


class RequestRefused(AkashGradioError):
    """An endpoint says that the request itself is wrong.

    detail: the endpoint's own words, at most 500 characters, "" when it gave none.
    """

    def __init__(self, alias: str, status: int, detail: str = "") -> None:
        super().__init__(f"{alias} refused the request with {status}")
        self.alias, self.status, self.detail = alias, status, detail


class ContextExceeded(RequestRefused):
    """The conversation is longer than the model's context. Tokens; None where not said."""

    def __init__(
        self,
        alias: str,
        status: int,
        detail: str = "",
        *,
        limit_tokens: int | None = None,
        requested_tokens: int | None = None,
    ) -> None:
        super().__init__(alias, status, detail)
        self.limit_tokens, self.requested_tokens = limit_tokens, requested_tokens


class NotAllowed(AkashGradioError):
    """The host doesn't allow it.

    what: `model`, `length` (of a message), `own_key` (not taken there), `own_endpoint` (an address
    that may not be asked), or a parameter's wire name. low, high: what is allowed, where it
    is a range; in characters for `length`.
    """

    def __init__(self, what: str, *, low: float = 0, high: float = 0) -> None:
        super().__init__(f"{what} is not allowed")
        self.reason, self.low, self.high = what, low, high


class LimitReached(AkashGradioError):
    """A share is used up.

    what: `messages` (of one visitor in a minute), `tokens` (of one visitor in a day),
    `app_tokens`, `app_cost` (of everybody in a day) or `queue` (too many wait).
    most: the share, 0 where that is the host's own business. retry_after_s: seconds until
    it opens again.
    """

    def __init__(self, what: str, *, limit: float = 0, retry_after_s: float) -> None:
        super().__init__(f"{what} used up, for {retry_after_s:.0f} s")
        self.reason, self.limit, self.retry_after_s = what, limit, retry_after_s


class UnknownModel(AkashGradioError):
    """No catalog entry and no endpoint knows this id."""

    def __init__(self, model: str) -> None:
        super().__init__(f"unknown model {model!r}")
        self.model = model


class NoEndpoint(AkashGradioError):
    """No endpoint can be asked for this model now.

    reason: `none_configured`, `none_serves` (no endpoint lists the model), `drained`
    (weight 0), `starting` (the embedded model is not ready yet) or `busy`
    (all at their maxConcurrency).
    """

    def __init__(self, model: str, reason: str) -> None:
        super().__init__(f"no endpoint for {model!r}: {reason}")
        self.model, self.reason = model, reason


class AllEndpointsFailed(AkashGradioError):
    """Every endpoint of the model and of its fallbacks failed. cause: the last failure.

    retry_after_s: seconds until one of them may be asked again, None when unknown.
    """

    def __init__(
        self, model: str, cause: EndpointError, *, retry_after_s: float | None = None
    ) -> None:
        super().__init__(f"nobody answered for {model!r}: {cause}")
        self.model, self.cause, self.retry_after_s = model, cause, retry_after_s


class ReplyInterrupted(AkashGradioError):
    """The answer broke off after its first token. What had come was delivered before."""

    def __init__(self, alias: str, cause: EndpointError) -> None:
        super().__init__(f"{alias} broke off: {cause}")
        self.alias, self.cause = alias, cause


class EndpointError(AkashGradioError):
    """One endpoint failed once. alias: the name that people see."""

    def __init__(self, alias: str, fact: str) -> None:
        super().__init__(f"{alias}: {fact}")
        self.alias = alias


class EndpointUnreachable(EndpointError):
    """No connection. reason: `dns`, `refused`, `tls`, `reset` or `connect`."""

    def __init__(self, alias: str, reason: str) -> None:
        super().__init__(alias, f"unreachable ({reason})")
        self.reason = reason


class EndpointTimeout(EndpointError):
    """Nothing in time. stage: `connect`, `first_token` or `idle`; after_s: seconds waited."""

    def __init__(self, alias: str, stage: str, after_s: float) -> None:
        super().__init__(alias, f"nothing for {after_s:g} s ({stage})")
        self.stage, self.after_s = stage, after_s


class EndpointRefused(EndpointError):
    """An HTTP status that another endpoint may not give.

    retry_after_s: seconds of rest that it asked for. detail: its own words, at most
    500 characters, with anything that looks like a key removed.
    """

    def __init__(
        self, alias: str, status: int, *, retry_after_s: float | None = None, detail: str = ""
    ) -> None:
        super().__init__(alias, f"status {status}")
        self.status, self.retry_after_s, self.detail = status, retry_after_s, detail


class EndpointMalformed(EndpointError):
    """Not the protocol. what: `html`, `json`, `error_body`, `too_long`, `shape`, `encoding`
    or `cut` (the connection ended in the middle).

    detail: the endpoint's own words where it sent an error object, at most 500 characters.
    """

    def __init__(self, alias: str, what: str, detail: str = "") -> None:
        super().__init__(alias, f"not the protocol ({what})")
        self.reason, self.detail = what, detail


class EndpointSilent(EndpointError):
    """A well-formed reply without a word in it."""

    def __init__(self, alias: str) -> None:
        super().__init__(alias, "empty reply")
