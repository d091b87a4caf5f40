"""Classifies error responses: from status, code, message and content type to a `FailureKind`.

A failure of one request must not affect other requests, so a client must not be able to produce
one that counts against the endpoint. Servers repeat parts of a request in their messages.
Therefore quoted parts never count, and for statuses that the content of a request can cause, the
words for a failure of the key, the account or the model count only at the start of a message.

The shapes and sentences come from the vendors' documentation and from issue trackers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from akash_gradio.domain.failure_kinds import KIND_OF_STATUS, FailureKind

_DEFAULTS: Final = KIND_OF_STATUS | {403: FailureKind.BLOCKED}
"""The kind of a response that no rule matches."""
_DEFAULTS_OF_HTML: Final = KIND_OF_STATUS | {
    400: FailureKind.BLOCKED,
    403: FailureKind.BLOCKED,
    404: FailureKind.WRONG_URL,
    406: FailureKind.BLOCKED,
}
"""The kind of a page in HTML: a proxy or firewall sent it, not the model's server."""

STATUS_OF_TYPE: Final[dict[str, int]] = {
    "invalid_request_error": 400,
    "badrequesterror": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "insufficient_quota": 429,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "notfounderror": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "resource_exhausted": 429,
    "throttlingexception": 429,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""The status that an error's type or code stands for, where the response names none."""
STATUS_OF_KIND: Final[dict[FailureKind, int]] = {
    FailureKind.MODEL_MISSING: 404,
    FailureKind.MODEL_DENIED: 403,
    FailureKind.KEY: 401,
    FailureKind.CREDIT: 402,
    FailureKind.QUOTA: 429,
    FailureKind.RATE_LIMIT: 429,
    FailureKind.MODEL_RATE_LIMIT: 429,
    FailureKind.WRONG_URL: 404,
}
"""The status that a message stands for, where the response names none; 400 for other kinds."""
_TOO_LONG_CODES: Final = frozenset(
    {
        "context_length_exceeded",
        "context_window_exceeded",
        "exceed_context_size_error",
        "max_prompt_tokens_exceeded",
        "model_context_window_exceeded",
        "model_max_prompt_tokens_exceeded",
        "request_too_large",  # Anthropic: 32 MB
        "string_above_max_length",
        "string_too_long",
        "token_limit_exceeded",
        "tokens_limit_reached",  # GitHub Models
    }
)
_NEVER_TOO_LONG: Final = frozenset({401, 402, 403, 404, 405, 429})
"""Statuses whose messages name a number of tokens for other reasons."""
_MAX_CHARACTERS: Final = 2_000
"""How much of a message is searched."""
_QUOTED: Final = re.compile(
    r"`[^`]{0,500}`|\"[^\"]{0,500}\"|(?<!\w)'[^']{0,500}'(?!\w)|\u201c[^\u201d]{0,500}\u201d"
)


def classify(
    status: int,
    *,
    messages: Sequence[str] = (),
    codes: Collection[str] = (),
    is_html: bool = False,
    too_long: bool = False,
) -> FailureKind:
    """Return the kind of an error response.

    Args:
        status: The HTTP status, or the one that the body names.
        messages: Its messages, the outermost first.
        codes: Every code and type in it, in lower case.
        is_html: Whether the body is a page in HTML, whose text isn't searched.
        too_long: Whether a message says that the request is longer than the context.
    """
    if is_html:
        return _DEFAULTS_OF_HTML.get(status, FailureKind.SERVER)
    if status not in _NEVER_TOO_LONG and (too_long or not _TOO_LONG_CODES.isdisjoint(codes)):
        return FailureKind.TOO_LONG
    searched = [unquoted(message).lower() for message in messages] or [""]
    found = frozenset(codes)
    for rule in _RULES:
        if rule.matches(status, searched, found):
            return rule.kind
    return _DEFAULTS.get(status, FailureKind.SERVER)


def unquoted(message: str) -> str:
    """Return the start of a message with its quoted parts replaced: they may be the client's."""
    return _QUOTED.sub("_", message[:_MAX_CHARACTERS]).strip()


class _Rule(NamedTuple):
    """A row of the table: the first that matches decides.

    Attributes:
        kind: What a match means.
        statuses: The statuses for which it is tried.
        codes: Codes and types, in lower case; one of them is enough.
        words: Or a pattern that a message contains.
        at_start: Statuses for which a message has to start with the pattern.
    """

    kind: FailureKind
    statuses: Collection[int]
    codes: Collection[str] = ()
    words: re.Pattern[str] | None = None
    at_start: Collection[int] = ()

    def matches(self, status: int, messages: Sequence[str], codes: frozenset[str]) -> bool:
        if status not in self.statuses:
            return False
        if not codes.isdisjoint(self.codes):
            return True
        if self.words is None:
            return False
        find = self.words.match if status in self.at_start else self.words.search
        return any(find(message) for message in messages)


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns))


_START: Final = r"(?:[\w.]{1,60}?(?:error|exception|failed)\W{1,8}){0,3}\W{0,8}"
"""What may precede the words at the start of a message, as in `litellm.BadRequestError: `."""


def _sentence(*patterns: str) -> re.Pattern[str]:
    return re.compile(f"{_START}(?:{'|'.join(patterns)})")


_FAILURES: Final = frozenset(range(300, 600))
_SERVER: Final = frozenset(range(500, 600))
_BAD_REQUEST: Final = frozenset({400, 413, 422})
_OF_ANY_REQUEST: Final = _BAD_REQUEST | _SERVER
"""Statuses that the content of a request can cause."""

_RULES: Final = (
    # An argument that the gateway adds, and then leaves out.
    _Rule(
        FailureKind.UNSUPPORTED,
        _OF_ANY_REQUEST | {404, 415},
        words=_words(r"stream_options", r"include_usage"),
    ),
    _Rule(
        FailureKind.OVER_LIMIT,
        _FAILURES - _SERVER,
        words=_words(
            r"request too large for\b.{0,200}\b(?:limit|tpm|tokens per)",  # Groq, OpenAI
            r"can only afford \d",  # OpenRouter
            r"requires more credits, or fewer max_tokens",
        ),
    ),
    _Rule(
        FailureKind.QUOTA,
        _FAILURES,
        codes=(
            "insufficient_quota",
            "billing_hard_limit_reached",
            "billing_not_active",
            "exceeded_current_quota_error",  # Moonshot
            "access_terminated",
        ),
    ),
    _Rule(
        FailureKind.CREDIT,
        _FAILURES,
        codes=(
            "insufficient_balance",
            "insufficient_credits",
            "insufficient_user_quota",  # New API
            "arrearage",  # DashScope
            "budget_exceeded",  # LiteLLM
            "billing_error",
            "1113",  # Zhipu
        ),
        words=_sentence(
            r"(?:your |the |account |user )*(?:credit )?balance (?:is )?"
            r"(?:too low|insufficient|not enough)",
            r"(?:you have )?insufficient (?:account )?(?:balance|credits?|funds)",
            r"(?:you have |you are )?(?:run )?out of credits?",
            r"(?:api )?key limit exceeded",  # OpenRouter
            r"(?:your |the )?account (?:is |has been )?(?:in arrears|suspended|not active)",
            r"budget has been exceeded",
            r"access denied, please make sure your account is in good standing",
            r"\u4f59\u989d\u4e0d\u8db3|\u8d26\u6237\u4f59\u989d",  # the same in Chinese
        ),
        at_start=_OF_ANY_REQUEST | {429},
    ),
    _Rule(
        FailureKind.MODERATED,
        _BAD_REQUEST | {403, 451, 500},
        codes=(
            "content_filter",
            "content_policy_violation",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "data_inspection_failed",  # DashScope
            "datainspectionfailed",
            "prohibited_content",
            "safety",
            "sensitive_words_detected",
            "1301",  # Zhipu
        ),
        words=_words(
            r"content (?:management|moderation|safety|filter|polic|exists risk)",
            r"moderation",
            r"\bflagged\b",
            r"violat\w{1,6}\b.{0,60}\b(?:polic|guideline|terms|safety)",
            r"safety (?:system|filter|check|setting|reason|guideline)",
            r"(?:inappropriate|sensitive|harmful|prohibited|unsafe|disallowed) content",
            r"\bguardrail",
        ),
    ),
    _Rule(
        FailureKind.MODEL_DENIED,
        (400, 401, 403, 404),
        codes=(
            "key_model_access_denied",  # LiteLLM
            "team_model_access_denied",
            "user_model_access_denied",
            "org_model_access_denied",
            "model_access_denied",
            "model_permission_blocked_org",  # Groq
            "model_permission_blocked_project",
        ),
        words=_words(
            r"(?:\b(?:no|not|denied|without|unable to)\b|n't\b).{0,40}\baccess\b.{0,40}\bmodels?\b",
            r"\baccess\b.{0,20}\bmodels?\b.{0,160}\b(?:denied|not allowed|disabled|not granted)",
            r"\bmodels?\b.{0,200}\b(?:not enabled|not authorized|not permitted|not activated)\b",
            r"no endpoints\b.{0,80}\bmatching your\b",  # OpenRouter: the account's data policy
        ),
        at_start=(400,),
    ),
    _Rule(FailureKind.MODEL_DENIED, (403,), codes=("model_not_found",)),  # OpenAI: the project
    _Rule(
        FailureKind.UNSUPPORTED,
        _BAD_REQUEST | {404, 501},
        words=_words(
            r"no endpoints found that support",  # OpenRouter
            r"(?:\bnot|n't) (?:currently )?support",
            r"\bun[- ]?supported\b",
            r"\bonly supports?\b",
            r"\brequires? --\w",  # vLLM: --enable-auto-tool-choice
            r"is not a multimodal model",
            r"(?:unknown|unrecognized|unexpected|extra) (?:\w{1,20} )?"
            r"(?:parameter|field|argument|keyword|inputs?)\b",
        ),
    ),
    _Rule(
        FailureKind.MODEL_MISSING,
        _OF_ANY_REQUEST | {404, 410},
        codes=(
            "model_not_found",
            "model_not_exist",
            "model_not_available",
            "model_decommissioned",
            "model_deprecated",
            "modelnotfound",
            "invalid_model",
            "deploymentnotfound",
        ),
        words=_sentence(
            r"(?:the |requested |unknown |no such |could not find )*"
            r"(?:models?|real modelid|deployment)\b.{0,200}"
            r"\b(?:not found|not exist|n't exist|unknown|not available|not loaded|not deployed"
            r"|decommissioned|deprecated|no longer)\b",
            r"(?:invalid|unknown|no such) model\b",
            r"no endpoints found for\b",  # OpenRouter
            r"[\w./:@-]{1,100} is not a valid model id",
        ),
        at_start=_OF_ANY_REQUEST,
    ),
    _Rule(FailureKind.MODEL_MISSING, (404,), words=_words(r"\bmodels?\b", r"\bdeployment\b")),
    _Rule(FailureKind.INVALID, (413,), codes=("invalid_request_error",)),
    _Rule(
        FailureKind.WRONG_URL,
        (404, 405),
        codes=("unknown_url",),
        words=_words(
            r"^\W*(?:404\W*)?(?:(?:page|file|route|path|resource|url) )?not found\W*$",
            r"^\W*$",
            r"invalid url",
            r"cannot (?:get|post)\b",
            r"\bno (?:\w{1,20} )?route\b",
            r"resource not found",
            r"method not allowed",
            r"\bpath\b",
        ),
    ),
    _Rule(FailureKind.WRONG_URL, (400, 404, 405), words=_sentence("unexpected endpoint or method")),
    _Rule(
        FailureKind.KEY,
        _FAILURES,
        codes=(
            "invalid_api_key",
            "api_key_invalid",
            "invalid_authentication_error",
            "authentication_error",
            "expired_api_key",
            "unauthenticated",
        ),
        words=_sentence(
            r"(?:your |the |an? |provided )*api[ _-]?key (?:is |was |provided is )?"
            r"(?:not valid|invalid|expired|missing|required|disabled|revoked|not found)",
            r"(?:invalid|incorrect|wrong|expired|missing|no) "
            r"(?:api|access|auth|authentication|authorization|bearer)[ _-]?"
            r"(?:key|token|credentials?|header)",
            r"(?:invalid )?authentication (?:failed|required|error|credentials)",
            r"unauthori[sz]ed\b|unauthenticated\b|invalid (?:token|credentials)\b",
        ),
        at_start=_FAILURES,
    ),
    _Rule(
        FailureKind.LOADING,
        _SERVER | {425, 429},
        codes=("modelnotreadyexception", "model_loading"),
        words=_words(r"\b(?:loading|starting|waking|warming)\b", r"\bnot ready\b"),
        at_start=(500,),
    ),
    _Rule(
        FailureKind.BUSY,
        (429, 503),
        words=_words(
            r"\bconcurren",
            r"(?:simultaneous|parallel) request",
            r"queue (?:is )?full",
            r"\bno (?:\w{1,12} )?(?:slots?|workers?|capacity)\b",
            r"at capacity",
        ),
    ),
    _Rule(
        FailureKind.MODEL_RATE_LIMIT,
        (429,),
        words=_words(
            r"rate limit reached for\b(?! (?:organi[sz]ation|org|project|user))",  # OpenAI, Groq
            r"\bmodel: [\w.:/-]{1,80}",  # Gemini: the dimensions of the quota
            r"rate-limited upstream",  # OpenRouter
        ),
    ),
    _Rule(
        FailureKind.RATE_LIMIT,
        _FAILURES,
        codes=(
            "rate_limit_exceeded",
            "rate_limit_error",
            "rate_limit_reached_error",
            "resource_exhausted",
            "throttlingexception",
            "throttling",
            "too_many_requests",
        ),
        words=_sentence(r"rate limit", r"too many (?:requests|tokens)", r"throttl"),
        at_start=_FAILURES,
    ),
    _Rule(
        FailureKind.TEMPLATE,
        (500,),
        words=_words(
            r"jinja",
            r"chat[ _]?template",
            r"template ?error",
            r"undefinederror",
            r"roles must alternate",
            r"tool[ _]?(?:call|choice|parser)",
            r"failed to (?:parse|apply|tokenize|process)\b",
            r"\b(?:grammar|json[ _]schema|response_format)\b",
            r"(?:load|decod|open|process|fetch|download|identify)\w{0,3} "
            r"(?:\w{1,12} ){0,3}(?:image|picture|audio|video|media)",
        ),
    ),
    _Rule(
        FailureKind.FORBIDDEN,
        (403,),
        words=_words(
            r"permission|denied|not (?:allowed|authori[sz]ed|permitted)|unauthori[sz]ed",
            r"api[ _-]?key|\btoken\b|credential|account|organi[sz]ation|project|subscription",
            r"billing|suspended|disabled|verif(?:y|ied)|\bplan\b",
            r"country|region|territory|location",
        ),
    ),
)
