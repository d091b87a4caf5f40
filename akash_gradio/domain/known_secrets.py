"""Finds known secrets, their parts and their usual encodings in text that an endpoint sent.

A secret is recognized by any piece of it that is long enough, so that a truncated one is found
too, and one that continues in the next chunk of a stream. In errors, identifiers and logs a piece
has 8 characters. In answers, ordinary words must stay: there a piece of 8 characters must mix
letters with digits, or upper with lower case; any other piece must have 12.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import parse_qsl, quote, quote_plus, unquote, urlsplit

REMOVED: Final = "[removed]"
PIECE: Final = 8
"""Characters of the shortest piece of a secret that is recognized."""
PLAIN_PIECE: Final = 12
"""The same for a piece in an answer that could be words or a number."""
MIN_SECRET_CHARACTERS: Final = 6
"""Shorter values (`EMPTY`, `none`) are placeholders, and common words in a log."""
MIN_TRUNCATED: Final = 4
"""Shortest beginning of a secret that is recognized at the end of a truncated text."""
LONG_CHARACTERS: Final = 4096
"""A longer text is searched for samples of the secrets first, which takes much less time."""

PUBLIC_HEADERS: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "anthropic-beta",
        "anthropic-version",
        "content-type",
        "http-referer",
        "openai-beta",
        "origin",
        "referer",
        "user-agent",
        "x-title",
    }
)
"""Custom headers that hold no secret; answers may name a site or a version."""
_SECRET_PARAMETER: Final = re.compile(r"key|token|secret|sig|pass|auth|code|credential", re.I)
_SCHEME: Final = re.compile(r"[A-Za-z][\w-]*[ \t]+(?=\S)")
_PART: Final = re.compile(r"""[^\s,;:&=|"'(){}\[\]<>]+""")
_JWT: Final = re.compile(r"eyJ[\w-]+\.(?=[\w-]+\.)")
_VENDOR_PREFIX: Final = re.compile(r"sk-(?:or-v\d|ant-[a-z]+\d+)-")
"""Beginnings that all keys of a vendor share, and that have a recognizable piece."""


def header_parts(name: str, value: str) -> Iterator[str]:
    """Yield the secrets in a header: its value, what follows a scheme, and each part.

    Args:
        name: Its name; `authorization` for an API key.
        value: As it is sent, for example `Bearer KEY`, `Basic BASE64` or `a=SECRET; b=SECRET`.
    """
    value = value.strip()
    yield value
    scheme = _SCHEME.match(value)
    rest = value[scheme.end() :].strip() if scheme else value
    yield rest
    if scheme and scheme.group().strip().lower() == "basic":
        login = _decode_base64(rest)
        yield login
        yield from login.split(":", 1)
    for part in _PART.findall(value):
        yield part
        yield unquote(part)
    if name.lower() in ("cookie", "set-cookie"):
        yield from (cookie.partition("=")[2].strip() for cookie in value.split(";"))


def url_parts(url: str, *, every_parameter: bool = False) -> Iterator[str]:
    """Yield the secrets in a URL: its user, its password, and values of its query.

    Args:
        url: The URL.
        every_parameter: Whether all parameters are secrets except versions, not only those whose
            names mean a key or a password.
    """
    try:
        parts = urlsplit(url)
        login = (parts.username or "", parts.password or "")
    except ValueError:
        return
    for part in login:
        yield part
        yield unquote(part)
    for name, value in parse_qsl(parts.query):
        if (every_parameter or _SECRET_PARAMETER.search(name)) and not is_version_name(name):
            yield value


def is_version_name(name: str) -> bool:
    """Return whether a query parameter selects a version, so that it is no secret."""
    return "version" in name.lower()


def _decode_base64(text: str) -> str:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_").decode()
    except (ValueError, binascii.Error):
        return ""


def encodings(secret: str) -> set[str]:
    """Return a secret as it is, and as JSON, URLs, HTML and base64 write it."""
    forms = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret).replace("/", "\\/")[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret, safe="", errors="replace"),
        quote(secret, errors="replace"),
        quote_plus(secret, errors="replace"),
        html.escape(secret),
        html.escape(secret).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    }
    forms |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), form) for form in forms}
    data = secret.encode("utf-8", "replace")
    for skipped in range(3):  # it may begin at each of the three places of a group
        encoded = base64.b64encode(b"\0" * skipped + data).decode()
        first, last = (8 * skipped + 5) // 6, 8 * (skipped + len(data)) // 6
        forms |= {encoded[first:last], encoded[first:last].replace("+", "-").replace("/", "_")}
    return forms


class _Pieces:
    """Finds pieces of some texts in another text."""

    def __init__(self, secrets: Iterable[str], *, ordinary_words: bool) -> None:
        """Initialize the search.

        Args:
            secrets: What to find, in each encoding.
            ordinary_words: Whether the searched text is an answer, whose words must stay.
        """
        self._short, self._long = set[str](), set[str]()
        self._samples = set[str]()
        for secret in secrets:
            for form in encodings(secret):
                self._add(form, ordinary_words=ordinary_words, step=PIECE if form == secret else 0)
        characters = set().union(*self._short, *self._long)
        inside = "".join(map(re.escape, sorted(characters)))
        self._run = re.compile(f"[{inside}]{{{PIECE},}}") if characters else None

    def _add(self, text: str, *, ordinary_words: bool, step: int) -> None:
        if any(map(str.isspace, text)):  # its parts are searched for
            return
        shared = _shared_prefix(text) if ordinary_words else 0
        short = [
            piece
            for i, piece in _pieces(text, PIECE)
            if not ordinary_words or (_is_mixed(piece) and i + PIECE > shared)
        ]
        self._short.update(short)
        self._samples.update(short[:1] + short[-1:] + (short[::step] if step else []))
        if not ordinary_words:
            return
        long = [p for i, p in _pieces(text, PLAIN_PIECE) if i + PLAIN_PIECE > shared]
        self._long.update(long)
        for piece in long[:1] + long[-1:]:
            if self._short.isdisjoint(part for _, part in _pieces(piece, PIECE)):
                self._samples.add(piece)

    def __bool__(self) -> bool:
        return self._run is not None

    def has_sample(self, text: str) -> bool:
        """Return whether a text has the beginning, the end or a long part of a secret."""
        return any(sample in text for sample in self._samples)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the spans of pieces, overlapping ones joined, in their order."""
        if self._run is None:
            return []
        if len(text) > LONG_CHARACTERS and not self.has_sample(text):
            return []
        spans: list[tuple[int, int]] = []
        for run in self._run.finditer(text):
            start, end = run.span()
            if self._is_disjoint(text, start, end):  # nearly always
                continue
            for i in range(start, end - PIECE + 1):
                if text[i : i + PIECE] in self._short:
                    stop = i + PIECE
                elif text[i : i + PLAIN_PIECE] in self._long:
                    stop = i + PLAIN_PIECE
                else:
                    continue
                if spans and spans[-1][1] >= i:
                    spans[-1] = (spans[-1][0], stop)
                else:
                    spans.append((i, stop))
        return spans

    def _is_disjoint(self, text: str, start: int, end: int) -> bool:
        short = [text[i : i + PIECE] for i in range(start, end - PIECE + 1)]
        if not self._short.isdisjoint(short):
            return False
        long = [text[i : i + PLAIN_PIECE] for i in range(start, end - PLAIN_PIECE + 1)]
        return self._long.isdisjoint(long)

    def redact(self, text: str) -> str:
        """Return the text with each span replaced."""
        return _replace(text, self.spans(text))


def _pieces(text: str, length: int) -> Iterator[tuple[int, str]]:
    return ((i, text[i : i + length]) for i in range(len(text) - length + 1))


def _shared_prefix(text: str) -> int:
    """Return the length of the beginning that other secrets share."""
    match = _JWT.match(text) or _VENDOR_PREFIX.match(text)
    return match.end() if match else 0


def _is_mixed(piece: str) -> bool:
    """Return whether a piece is hardly a part of ordinary words or numbers."""
    has_letter, has_digit = any(map(str.isalpha, piece)), any(map(str.isdigit, piece))
    if has_letter and has_digit:
        return True
    rest = piece[1:]
    return any(map(str.isupper, rest)) and any(map(str.islower, piece))


def _replace(text: str, spans: list[tuple[int, int]]) -> str:
    if not spans:
        return text
    parts, end = [], 0
    for start, stop in spans:
        parts += [text[end:start], REMOVED]
        end = stop
    return "".join([*parts, text[end:]])


class KnownSecrets:
    """Secrets with all their parts and encodings.

    Args:
        secrets: The secrets.
        public: Values that are removed only as a whole, and not from answers.
    """

    def __init__(self, secrets: Iterable[str], public: Iterable[str] = ()) -> None:
        strict = {secret for secret in secrets if len(secret) >= MIN_SECRET_CHARACTERS}
        self._strict = _Pieces(strict, ordinary_words=False)
        whole = {secret for secret in strict if len(secret) < PIECE or " " in secret} | set(public)
        forms = {form for secret in whole for form in encodings(secret)}
        longest_first = sorted((f for f in forms if len(f) >= MIN_SECRET_CHARACTERS), key=len)
        pattern = "|".join(map(re.escape, reversed(longest_first)))
        self._whole = re.compile(pattern) if pattern else None
        self._secrets = strict
        self._answers = _Pieces(strict, ordinary_words=True)

    def redact(self, text: str) -> str:
        """Return an error, an identifier or a log line without the secrets."""
        text = self._strict.redact(text)
        return text if self._whole is None else self._whole.sub(REMOVED, text)

    def redact_truncated(self, text: str) -> str:
        """Do the same for a text that may have been cut off in a secret."""
        text = self.redact(text)
        for secret in self._secrets:
            for length in range(min(len(secret) - 1, PIECE - 1), MIN_TRUNCATED - 1, -1):
                if text.endswith(secret[:length]):
                    return text[:-length] + REMOVED
        return text

    @property
    def in_answers(self) -> bool:
        """Whether there is anything to find in answers."""
        return bool(self._answers)

    def redact_answer(self, text: str) -> str:
        """Return a whole answer without the secrets."""
        return self._answers.redact(text)

    def may_be_in(self, text: str) -> bool:
        """Return whether an answer has the beginning, the end or a long part of a secret."""
        return self._answers.has_sample(text)

    def answer_stream(self) -> StreamRedactor:
        """Return a redactor for one text of a stream."""
        return StreamRedactor(self._answers)


class StreamRedactor:
    """Removes secrets from a text that arrives in parts. It holds nothing back.

    Of a secret that is divided over parts, up to 7 characters (11 of one that could be words) can
    have been passed on before it is recognized.
    """

    __slots__ = ("_pieces", "state")

    def __init__(self, pieces: _Pieces) -> None:
        self._pieces = pieces
        self.state = ("", False)
        """The end of what was passed on or removed, and whether it was removed."""

    def accepts(self, part: str) -> bool:
        """Pass the next part on if it has nothing of a secret; return whether it was."""
        state = self.state
        if self.feed(part) is part:
            return True
        self.state = state
        return False

    def feed(self, part: str) -> str:
        """Return the next part without what belongs to a secret."""
        if len(part) < PIECE and part[:1] == " ":  # a short word: no piece ends in it
            self.state = (part, False)
            return part
        tail, removing = self.state
        text = tail + part
        spans = self._pieces.spans(text)
        if not spans:
            self.state = (text[1 - PLAIN_PIECE :], False)
            return part
        self.state = (text[1 - PLAIN_PIECE :], spans[-1][1] == len(text))
        seen = len(tail)
        parts, end = [], seen
        for start, stop in spans:
            if stop > seen:
                parts += [
                    text[end : max(start, end)],
                    "" if removing and start <= seen else REMOVED,
                ]
                end = stop
        return "".join([*parts, text[end:]]) if parts else part


NO_SECRETS: Final = KnownSecrets(())


def endpoint_secrets(
    api_key: str | None, headers: Iterable[tuple[str, str]], url: str = ""
) -> KnownSecrets:
    """Return the secrets of the requests to an endpoint.

    Args:
        api_key: Its key.
        headers: Names and values of the custom headers, the model's too.
        url: Its base URL, whose query may hold a key.
    """
    confidential = list(url_parts(url, every_parameter=True))
    public: list[str] = []
    if api_key:
        confidential += header_parts("authorization", api_key)
    for name, value in headers:
        if name.lower() in PUBLIC_HEADERS:
            public.append(value)
        else:
            confidential += header_parts(name, value)
    return KnownSecrets(confidential, public) if confidential or public else NO_SECRETS
