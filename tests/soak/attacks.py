"""The worst inputs of each route that reads something, and how they are sent."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from tests.browser.upstreams import Behavior
from tests.stubs import Exchange, wire
from tests.stubs.behaviors import wants_stream

HONEST, HOSTILE = "single-00", "single-01"
"""The ids of the models: see `tests.browser.upstreams`."""
JSON = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Requests of one kind.

    Attributes:
        name: What is special about them.
        body: The body of each request.
        path: The path, if the route's pattern has parameters.
        method: `POST`, or `GET` without a body.
        media_type: Of the body.
        count: Number of requests at once.
        leaves: Whether the client closes each connection as soon as the body is sent.
        headers: Further headers.
    """

    name: str
    body: bytes = b""
    path: str = ""
    method: str = "POST"
    media_type: str = JSON
    count: int = 2
    leaves: bool = False
    headers: Mapping[str, str] | None = None


# ── Texts ───────────────────────────────────────────────────────────────────────────────────


def repeated(unit: str, characters: int) -> str:
    """Return a text of about this length."""
    return unit * (characters // len(unit))


TEXTS: Mapping[str, str] = {
    "list": "- a\n",
    "quotes": ">" * 30 + "a\n" + "a\n" * 500,
    "table": "a|" * 39 + "\n" + "-|" * 39 + "\n" + "b\n" * 2000 + "\n",
    "brackets": "[" * 399 + "\n\n",
    "formulas": "$x_1$ ",
    "emphasis": "*a **b `c` ",
    "fences": "```python\nx = 1\n```\n",
    "definitions": "[a]: http://b\n\n[a] ",
    "one line": "x",
}


def body(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def turn(text: str, role: str = "user") -> dict[str, Any]:
    return {"role": role, "text": text}


def chat(*turns: Mapping[str, Any], model: str = HONEST, **fields: Any) -> dict[str, Any]:
    return {"model": model, "turns": list(turns), **fields}


def padded(value: Mapping[str, Any], field: str, junk: bytes) -> bytes:
    """Return the JSON of an object with one more field, whose value is raw JSON."""
    return body(value)[:-1] + b',"' + field.encode() + b'":' + junk + b"}"


NUMBERS = b"[" + b"1," * 7_900_000 + b"1]"
OBJECTS = b"[" + b'{"a":{}},' * 1_700_000 + b"1]"
NESTED = b"[" * 15_000_000
SURROGATES = b'"' + rb"\ud800" * 2_600_000 + b'"'


# ── Answers of a hostile endpoint ───────────────────────────────────────────────────────────────


def answering_with(unit: str, characters: int, piece: int) -> Behavior:
    """Send a text in pieces, as fast as possible."""
    text = repeated(unit, characters)

    async def behavior(x: Exchange) -> None:
        if not wants_stream(x):
            await x.reply(wire.to_json(wire.completion(text)))
            return
        with suppress(OSError):
            await x.open_stream()
            for at in range(0, len(text), piece):
                await x.send(wire.text_event(text[at : at + piece]))
                await asyncio.sleep(0)
            await x.send(wire.finish_event() + wire.DONE)
            await x.end()

    return behavior


# ── Files ───────────────────────────────────────────────────────────────────────────────────


@lru_cache(maxsize=1)
def slow_pdf() -> bytes:
    """Return a PDF of some 100 kB whose text takes minutes to extract."""
    stream = zlib.compress(b"BT (x) Tj ET\n" * 1_500_000, 9)
    pages = 40
    kids = " ".join(f"{4 + number} 0 R" for number in range(pages))
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Kids[{kids}]/Count {pages}/MediaBox[0 0 9 9]>>".encode(),
        b"<</Filter/FlateDecode/Length %d>>stream\n%b\nendstream" % (len(stream), stream),
        *[b"<</Type/Page/Parent 2 0 R/Contents 3 0 R>>"] * pages,
    ]
    out = b"%PDF-1.7\n"
    offsets = []
    for number, content in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, content)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return out + b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (
        len(objects) + 1,
        start,
    )


@lru_cache(maxsize=1)
def large_picture() -> bytes:
    """Return a PNG of 36 million pixels."""

    def part(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    width, height = 5990, 5990
    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    row = b"\0" + b"\x80\x10\x70" * width
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", data) + part(b"IEND", b"")


# ── The worst inputs of each route ────────────────────────────────────────────────────────────

RUN = "r" * 24
RECEIPT = {"model": "m", "endpoint": "e", "total_s": 1.0}


def _replies() -> Iterator[Attack]:
    for name, junk in (
        ("numbers", NUMBERS), ("objects", OBJECTS), ("nested", NESTED), ("surrogates", SURROGATES),
    ):  # fmt: skip
        yield Attack(name=name, body=padded(chat(turn("Hi")), "junk", junk))
    pairs = [turn("x", role) for _ in range(999) for role in ("user", "assistant")]
    yield Attack(name="many turns", body=body(chat(*pairs, turn("x"))), count=20)
    long = chat(turn("a " * 1_900_000), turn("b", "assistant"), turn("Hi"))
    yield Attack(name="the longest text", body=body(long))
    picture = {"kind": "picture", "name": "p", "url": f"data:image/png;base64,{'A' * 1_500_000}"}
    yield Attack(name="pictures", body=body(chat({**turn("Hi"), "attachments": [picture] * 10})))
    yield Attack(name="hostile answers", body=body(chat(turn("Hi"), model=HOSTILE)), count=4)


def _continuations() -> Iterator[Attack]:
    for unit in TEXTS:
        text = repeated(TEXTS[unit], 1_990_000)
        turns = (turn("Hi"), turn(text, "assistant"))
        yield Attack(name=unit, body=body(chat(*turns, model=HOSTILE)))
    turns = (turn("Hi"), turn(repeated("- a\n", 12_500_000), "assistant"))
    yield Attack(name="15 MB of a list", body=body(chat(*turns)))


def _renderings() -> Iterator[Attack]:
    lists = [repeated("- a\n", 1_040_000)] * 12
    yield Attack(name="15 MB, and left", body=body({"texts": lists}), count=4, leaves=True)
    for unit in TEXTS:
        yield Attack(name=unit, body=body({"texts": [repeated(TEXTS[unit], 3_900_000)]}))
    yield Attack(name="many", body=body({"texts": ["$x$ *a* [b](http://c)\n" * 900] * 190}))
    yield Attack(name="numbers", body=padded({"texts": []}, "junk", NUMBERS))


def _comparisons() -> Iterator[Attack]:
    lanes = [{**chat(turn("Hi"), model=HOSTILE), "letter": letter} for letter in "ABCD"]
    yield Attack(name="hostile answers", body=body({"run": RUN, "lanes": lanes}))
    long = [{**chat(turn("x" * 900_000)), "letter": letter} for letter in "ABCD"]
    yield Attack(name="the longest text", body=body({"run": RUN, "lanes": long}))
    yield Attack(name="objects", body=padded({"run": RUN, "lanes": []}, "junk", OBJECTS))


def _differences() -> Iterator[Attack]:
    few = " ".join(str(number % 97) for number in range(5_900))
    other = " ".join(str(number * 31 % 101) for number in range(5_900))
    yield Attack(name="few words", body=body({"a": few, "b": other}))
    lines = "\n".join(str(number % 53) for number in range(2_900))
    more = "\n".join(str(number * 7 % 59) for number in range(2_900))
    yield Attack(name="few lines", body=body({"a": lines, "b": more}))
    yield Attack(name="long", body=body({"a": "a b\n" * 249_000, "b": "b a\n" * 249_000}))


def _reports() -> Iterator[Attack]:
    answer = {"requested_at": "2026-11-30T12:00:00Z", "facts": RECEIPT}
    for form in ("html", "md", "csv", "json"):
        turns = [{"prompt": "p", "answer": {**answer, "text": "- a\n" * 150_000}}] * 6
        lanes = [{"model": f"m{number}", "turns": turns} for number in range(4)]
        yield Attack(name=form, body=body({"lanes": lanes, "form": form}))
    small = [{"prompt": "`" * 10, "answer": {**answer, "text": "$x$ [a](b)"}}] * 500
    lanes = [{"model": f"m{number}", "turns": small} for number in range(4)]
    yield Attack(name="many", body=body({"lanes": lanes, "form": "html", "preview": True}))
    yield Attack(name="numbers", body=padded({"lanes": [], "form": "csv"}, "votes", NUMBERS))


def _sets(extra: Mapping[str, Any]) -> Iterator[Attack]:
    texts = {
        "lines": ("", "a\n" * 7_000_000),
        "separators": ("", "a\n---\n" * 2_000_000),
        "csv": ("a.csv", "prompt\n" + '"a"\n' * 3_000_000),
        "quotes": ("a.csv", "prompt\n" + '"' * 14_000_000),
        "jsonl": ("a.jsonl", '"a"\n' * 3_000_000),
        "toml": ("a.toml", '[[prompts]]\nprompt="a"\n' * 500_000),
    }
    for name, (file, text) in texts.items():
        prompt_set = {"text": text, "name": file}
        yield Attack(name=name, body=body({**extra, "set": prompt_set} if extra else prompt_set))


def _small(path: str = "") -> Iterator[Attack]:
    yield Attack(name="numbers", path=path, body=padded({"run": RUN}, "junk", NUMBERS))
    yield Attack(name="many", path=path, body=body({"run": RUN}), count=40)


def _votes(path: str = "") -> Iterator[Attack]:
    vote = {"a": "x" * 300, "b": "y" * 300, "winner": "a", "prompt": "z" * 300}
    votes = [vote] * 15_000
    yield Attack(name="many", path=path, body=body({"votes": votes}))
    yield Attack(name="numbers", path=path, body=padded({}, "votes", NUMBERS))


def _completions() -> Iterator[Attack]:
    def request(content: str, count: int = 1) -> dict[str, Any]:
        messages = [{"role": "user", "content": content}] * count
        return {"model": HONEST, "stream": True, "messages": messages}

    yield Attack(name="long", body=body(request("a " * 4_900_000)), leaves=True)
    yield Attack(name="many", body=body(request("a", 250_000)), leaves=True)
    yield Attack(
        name="numbers", body=padded(request("a"), "junk", b"[" + b"1," * 4_900_000 + b"1]")
    )
    yield Attack(name="nested", body=padded(request("a"), "junk", NESTED[:9_000_000]))
    yield Attack(name="surrogates", body=padded(request("a"), "junk", SURROGATES[:9_000_000]))


def _get(path: str, **headers: str) -> Callable[[], Iterable[Attack]]:
    return lambda: [
        Attack(name="many", path=path, method="GET", count=20, headers=headers or None),
    ]


def _files(kind: str, content: Callable[[], bytes]) -> Callable[[], Iterable[Attack]]:
    return lambda: [
        Attack(
            name=kind,
            path=f"/page/file/{kind}",
            body=content(),
            media_type="application/octet-stream",
            count=16,
        )
    ]


_RUN = {"candidates": [{"model": HONEST}]}
_ENCODED = {"accept-encoding": "br"}

WORST_INPUTS: Mapping[str, Callable[[], Iterable[Attack]]] = {
    "/page/boot": _get("/page/boot", **_ENCODED),
    "/page/models": _get("/page/models", **_ENCODED),
    "/page/panel": _get(f"/page/panel?model={HONEST}", **_ENCODED),
    "/page/thumbnail/{theme}": _get(f"/page/thumbnail/dark?model={HONEST}"),
    "/page/reply": _replies,
    "/page/continue": _continuations,
    "/page/render": _renderings,
    "/page/check": _get("/page/check"),
    "/page/check/run": _small,
    "/page/compare": _comparisons,
    "/page/compare/stop": _small,
    "/page/compare/diff": _differences,
    "/page/compare/report": _reports,
    "/page/compare/votes": _votes,
    "/page/compare/ranking": _votes,
    "/page/compare/export/{form}": lambda: _votes("/page/compare/export/csv"),
    "/page/file/{kind}": lambda: [
        *_files("pdf", slow_pdf)(),
        *_files("picture", large_picture)(),
    ],
    "/page/sets/validate": lambda: _sets({}),
    "/page/sets/forecast": lambda: _sets(_RUN),
    "/page/sets/start": lambda: _sets(_RUN),
    "/page/sets/status": _small,
    "/page/sets/row": _small,
    "/page/sets/action": _small,
    "/page/sets/report": _small,
    "/page/assets/js/page-{stamp}.js": _get("/page/assets/js/page-x.js", **_ENCODED),
    "/page/assets/css/page-{stamp}.css": _get("/page/assets/css/page-x.css", **_ENCODED),
    "/assets/{name}": _get("/assets/index.js", **_ENCODED),
    "/page/assets/{path:path}": _get("/page/assets/icon.svg", **_ENCODED),
    "/v1/chat/completions": _completions,
    "/v1/models": _get("/v1/models"),
    "/v1/models/{model:path}": _get(f"/v1/models/{HONEST}"),
    "/v1/openapi.json": _get("/v1/openapi.json"),
    "/v1/{rest:path}": _get("/v1/embeddings"),
    "/healthz": _get("/healthz"),
    "/metrics": _get("/metrics"),
}
"""The attacks on each route, by the pattern of its path."""


# ── Sending ─────────────────────────────────────────────────────────────────────────────────


async def send(
    url: str,
    route: str,
    attack: Attack,
    *,
    limit_s: float,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Send all requests of an attack at once, and read the responses until the time is over."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            requests = (_send_one(url, route, attack, headers) for _ in range(attack.count))
            await asyncio.gather(*requests)


async def _send_one(url: str, route: str, attack: Attack, more_headers: Mapping[str, str]) -> None:
    address = urlsplit(url)
    headers = {
        "host": address.netloc,
        "content-type": attack.media_type,
        "content-length": str(len(attack.body)),
        "connection": "close",
        **(attack.headers or {}),
        **more_headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    head = f"{attack.method} {attack.path or route} HTTP/1.1\r\n{lines}\r\n"
    with suppress(OSError):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        try:
            writer.write(head.encode())
            for at in range(0, len(attack.body), 1 << 18):
                writer.write(attack.body[at : at + (1 << 18)])
                await writer.drain()
            if attack.leaves:
                await asyncio.sleep(0.05)
                return
            while await reader.read(1 << 20):
                pass
        finally:
            writer.transport.abort()
