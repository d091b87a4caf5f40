"""Streams in the shapes that servers really send, by server, and what a person reads in them.

The shapes follow the servers' documentation and issue threads; the texts are our own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

DONE = "data: [DONE]\n\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a person reads in a stream.

    Attributes:
        body: The bytes.
        text: The answer.
        reasoning: The reasoning.
        calls: The tool calls: name and arguments.
        finish: The finish reason.
        media: Whether there is output that isn't text: a picture, or encrypted reasoning.
    """

    body: bytes
    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, str], ...] = ()
    finish: str = "stop"
    media: bool = False


def compact(value: object) -> str:
    """Encode without blanks, as orjson, Go and Rust do."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def sse(
    *values: object, end: str = DONE, dump: Callable[[object], str] = compact, line: str = "\n"
) -> bytes:
    """Return events; a string is sent as it is."""
    events = [v if isinstance(v, str) else f"data: {dump(v)}\n\n" for v in values]
    return ("".join(events) + end).replace("\n", line).encode()


def chunk(
    delta: object, finish: object = None, *, choice: Mapping[str, Any] | None = None, **fields: Any
) -> dict[str, Any]:
    """Return a chunk in OpenAI's format, with more fields of the chunk or its choice."""
    return {
        "id": "chatcmpl-7",
        "object": "chat.completion.chunk",
        "created": 1760000000,
        "model": "m",
        **fields,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish, **(choice or {})}],
    }


def contents(*texts: str, **fields: Any) -> list[dict[str, Any]]:
    return [chunk({"content": text}, **fields) for text in texts]


def call(index: int | None, **fields: Any) -> dict[str, Any]:
    numbered = {} if index is None else {"index": index}
    return {"tool_calls": [{**numbered, **fields}]}


def begin(index: int | None, call_id: str, name: str, arguments: str = "") -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    return call(index, id=call_id, type="function", function=function)


def more(index: int | None, arguments: str) -> dict[str, Any]:
    return call(index, function={"arguments": arguments})


ROLE = {"role": "assistant", "content": ""}
USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
PIECES = ("Grü", "ße, ", '„Welt" ', "\n\n```py\nx", " < 1\n```", " 👩‍🚀\u2028.")
TEXT = "".join(PIECES)
CITY = ('{"city"', ': "Köln"}')
WEATHER = ("weather", '{"city": "Köln"}')
PICTURE = "data:image/png;base64," + "iVBORw0KGgo" * 40


def _openai() -> Sample:
    common: dict[str, Any] = {"system_fingerprint": "fp_1", "usage": None}
    words = [
        chunk({"content": text}, obfuscation="x" * (7 * len(text) % 11), **common)
        for text in PIECES
    ]
    first = chunk({**ROLE, "refusal": None}, obfuscation="abc", **common)
    usage = {**chunk({}), "choices": [], "usage": USAGE}
    return Sample(body=sse(first, *words, chunk({}, "stop", **common), usage), text=TEXT)


def _azure() -> Sample:
    filters = {"hate": {"filtered": False, "severity": "safe"}}
    prompt = {"prompt_index": 0, "content_filter_results": filters}
    first = {**chunk({}), "choices": [], "model": "", "id": "", "prompt_filter_results": [prompt]}
    checked: dict[str, Any] = {"content_filter_results": filters, "logprobs": None}
    words = [chunk({"content": text}, choice=checked) for text in PIECES]
    late = chunk({}, choice={"content_filter_offsets": {"check_offset": 44}, **checked})
    del late["choices"][0]["delta"]  # the asynchronous filter sends annotations alone
    end = chunk({}, "content_filter", choice={"content_filter_results": {}})
    return Sample(
        body=sse(first, chunk(ROLE), *words, late, end), text=TEXT, finish="content_filter"
    )


def _vllm() -> Sample:
    choice = {"logprobs": None, "stop_reason": None, "token_ids": None}
    words = [
        chunk(
            {"content": text},
            choice=choice,
            usage={"prompt_tokens": 9, "total_tokens": 9 + n, "completion_tokens": n},
        )
        for n, text in enumerate(PIECES, 1)
    ]
    thoughts = [chunk({"reasoning_content": t}, choice=choice) for t in ("Hm, ", "ja.")]
    end = chunk({"content": ""}, "stop", choice=choice)
    usage = {**chunk({}), "choices": [], "usage": USAGE}
    body = sse(chunk(ROLE, choice=choice), *thoughts, *words, end, usage)
    return Sample(body=body, text=TEXT, reasoning="Hm, ja.")


def _vllm_tools() -> Sample:
    pieces = [more(0, text) for text in CITY]
    deltas = [begin(0, "chatcmpl-tool-1", "weather"), *pieces]
    chunks = [chunk(delta, choice={"logprobs": None}) for delta in deltas]
    return Sample(
        body=sse(chunk(ROLE), *chunks, chunk({"content": ""}, "tool_calls")),
        calls=(WEATHER,),
        finish="tool_calls",
    )


def _sglang() -> Sample:
    empty = {"role": None, "reasoning_content": None, "tool_calls": None}
    choice = {"logprobs": None, "matched_stop": None}
    words = [chunk({**empty, "content": text}, choice=choice, usage=None) for text in PIECES]
    thoughts = [
        chunk({**empty, "content": None, "reasoning_content": t}, choice=choice)
        for t in ("So, ", "so.")
    ]
    end = chunk({**empty, "content": None}, "stop", choice={"matched_stop": 151645})
    return Sample(
        body=sse(chunk({**empty, **ROLE}), *thoughts, *words, end), text=TEXT, reasoning="So, so."
    )


def _llama_cpp() -> Sample:
    def at(delta: object, finish: object = None, **fields: Any) -> dict[str, Any]:
        choice = {"finish_reason": finish, "index": 0, "delta": delta}
        head = {"created": 1760000000, "id": "chatcmpl-x", "model": "gpt-3.5-turbo"}
        return {"choices": [choice], **head, "object": "chat.completion.chunk", **fields}

    timings = {"prompt_n": 12, "prompt_ms": 31.4, "predicted_n": 6, "predicted_per_second": 61.25}
    progress = at(
        {"role": "assistant", "content": None}, prompt_progress={"total": 9, "processed": 4}
    )
    words = [at({"content": text}) for text in PIECES]
    usage = {**at({}), "choices": [], "usage": USAGE, "timings": timings}
    body = sse(at({"role": "assistant", "content": None}), progress, *words, at({}, "stop"), usage)
    return Sample(body=body, text=TEXT)


def _ollama() -> Sample:
    words = [
        chunk({"role": "assistant", "content": text}, system_fingerprint="fp_ollama")
        for text in PIECES
    ]
    thoughts = [
        chunk({"role": "assistant", "content": "", "reasoning": t}, system_fingerprint="fp_ollama")
        for t in ("One ", "two.")
    ]
    end = chunk(ROLE, "stop", system_fingerprint="fp_ollama")
    return Sample(body=sse(*thoughts, *words, end), text=TEXT, reasoning="One two.")


def _ollama_tool() -> Sample:
    whole = begin(0, "call_a1", "weather", '{"city":"Köln"}')
    other = begin(1, "call_a2", "clock", "{}")
    body = sse(chunk({**ROLE, **whole}), chunk({**ROLE, **other}), chunk(ROLE, "tool_calls"))
    calls = (("weather", '{"city":"Köln"}'), ("clock", "{}"))
    return Sample(body=body, calls=calls, finish="tool_calls")


def _lm_studio() -> Sample:
    words = [
        chunk(
            {"role": "assistant", "content": text},
            choice={"logprobs": None},
            system_fingerprint="m",
        )
        for text in PIECES
    ]
    end = chunk({}, "stop", choice={"logprobs": None}, system_fingerprint="m")
    return Sample(body=sse(*words, end, dump=json.dumps), text=TEXT)


def _tgi() -> Sample:
    def at(content: str, finish: str | None = None) -> dict[str, Any]:
        value = chunk({"role": "assistant", "content": content, "tool_call_id": None}, finish)
        value["choices"][0]["logprobs"] = None
        return {**value, "id": "", "system_fingerprint": "3.2.1-native", "usage": None}

    words = [f"data:{compact(at(text))}\n\n" for text in PIECES]
    usage = {**at(""), "choices": [], "usage": USAGE}
    end = [f"data:{compact(value)}\n\n" for value in (at("", "eos_token"), usage)]
    return Sample(body=sse(": keep\n\n", *words, *end), text=TEXT, finish="eos_token")


def _openrouter() -> Sample:
    def at(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        native = {"native_finish_reason": finish and finish.upper(), "logprobs": None}
        return chunk(delta, finish, choice=native, provider="Some Provider")

    thoughts = [
        at(
            {
                **ROLE,
                "reasoning": text,
                "reasoning_details": [
                    {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
                ],
            }
        )
        for text in ("Let me ", "see.")
    ]
    hidden = at({**ROLE, "reasoning_details": [{"type": "reasoning.encrypted", "data": "Zm9v"}]})
    words = [at({"role": "assistant", "content": text}) for text in PIECES]
    comment = ": OPENROUTER PROCESSING\n\n"
    usage = {**at(ROLE), "usage": {**USAGE, "cost": 0.0012}}
    body = sse(comment, comment, *thoughts, hidden, *words, comment, at(ROLE, "stop"), usage)
    return Sample(body=body, text=TEXT, reasoning="Let me see.", media=True)


def _openrouter_details_alone() -> Sample:
    thoughts = [
        chunk({"reasoning_details": [{"type": kind, name: text, "index": 0}]})
        for kind, name, text in (
            ("reasoning.summary", "summary", "First, "),
            ("reasoning.text", "text", "then."),
        )
    ]
    body = sse(*thoughts, *contents(*PIECES), chunk({}, "stop"))
    return Sample(body=body, text=TEXT, reasoning="First, then.")


def _openrouter_picture() -> Sample:
    image = {"type": "image_url", "image_url": {"url": PICTURE}, "index": 0}
    body = sse(chunk({**ROLE, "images": [image]}), chunk(ROLE, "stop"))
    return Sample(body=body, media=True)


def _deepseek() -> Sample:
    thoughts = [chunk({"content": None, "reasoning_content": t}) for t in ("Hm. ", "Gut.")]
    words = [chunk({"content": text, "reasoning_content": None}) for text in PIECES]
    first = chunk({"role": "assistant", "content": None, "reasoning_content": ""})
    end = chunk({"content": "", "reasoning_content": None}, "stop", usage=USAGE)
    body = sse(": keep-alive\n\n", first, *thoughts, *words, end)
    return Sample(body=body, text=TEXT, reasoning="Hm. Gut.")


def _mistral() -> Sample:
    def thought(text: str) -> dict[str, Any]:
        part = {"type": "thinking", "thinking": [{"type": "text", "text": text}]}
        return chunk({"content": [part]}, p="abcd"[: len(text) % 4])

    mixed = chunk({"content": [{"type": "text", "text": PIECES[0]}]}, p="ab")
    words = [chunk({"content": text}, p="abcdefgh"[: len(text) % 8]) for text in PIECES[1:]]
    end = chunk({"content": ""}, "stop", usage=USAGE)
    body = sse(chunk(ROLE), thought("Well, "), thought("yes."), mixed, *words, end)
    return Sample(body=body, text=TEXT, reasoning="Well, yes.")


def _gemini() -> Sample:
    def at(delta: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
        choice: dict[str, Any] = {"delta": delta, "index": 0}
        if finish:
            choice["finish_reason"] = finish
        return {"choices": [choice], "created": 1760000000, "model": "gemini-x", "usage": USAGE}

    words = [at({"content": text, "role": "assistant"}) for text in PIECES[:-1]]
    end = at({"content": PIECES[-1], "role": "assistant"}, "stop")
    return Sample(body=sse(*words, end, line="\n"), text=TEXT)


def _gemini_tools() -> Sample:
    extra = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    first = begin(None, "function-call-1", "weather", '{"city":"Köln"}')
    first["tool_calls"][0] |= extra
    deltas = [
        first,
        begin(None, "function-call-2", "clock"),
        more(None, '{"zone"'),
        more(None, ":1}"),
    ]
    body = sse(*(chunk({"role": "assistant", **delta}) for delta in deltas), chunk({}, "stop"))
    return Sample(body=body, calls=(("weather", '{"city":"Köln"}'), ("clock", '{"zone":1}')))


def _gemini_tools_all_at_index_0() -> Sample:
    deltas = [
        begin(0, f"call-{city}", "weather", f'{{"city":"{city}"}}') for city in ("Köln", "Bonn")
    ]
    body = sse(*map(chunk, deltas), chunk({}, "tool_calls"))
    calls = (("weather", '{"city":"Köln"}'), ("weather", '{"city":"Bonn"}'))
    return Sample(body=body, calls=calls, finish="tool_calls")


def _negative_tool_index() -> Sample:
    deltas = [begin(-1, "c", "weather"), *(more(-1, text) for text in CITY)]
    body = sse(*map(chunk, deltas), chunk({}, "tool_calls"))
    return Sample(body=body, calls=(WEATHER,), finish="tool_calls")


def _groq() -> Sample:
    words = contents(*PIECES, system_fingerprint="fp_g")
    end = chunk({}, "stop", x_groq={"id": "req_1", "usage": {**USAGE, "queue_time": 0.01}})
    first = chunk(ROLE, x_groq={"id": "req_1"})
    return Sample(body=sse(first, *words, end), text=TEXT)


def _anthropic_compatible() -> Sample:
    deltas = [
        {"role": "assistant", "content": PIECES[0]},
        *({"content": text} for text in PIECES[1:]),
        begin(0, "toolu_01", "weather"),
        *(more(0, text) for text in CITY),
    ]
    body = sse(*map(chunk, deltas), chunk({}, "tool_calls"), line="\r\n")
    return Sample(body=body, text=TEXT, calls=(WEATHER,), finish="tool_calls")


def _minimax() -> Sample:
    def at(**delta: Any) -> dict[str, Any]:
        return chunk({"name": "MiniMax AI", "audio_content": "", **delta}, input_sensitive=False)

    thoughts = [
        at(reasoning_details=[{"type": "reasoning.text", "id": "r-1", "index": 0, "text": text}])
        for text in ("The user ", "asks.")
    ]
    words = [at(content=text) for text in PIECES]
    message = {"role": "assistant", "content": TEXT, "name": "MiniMax AI"}
    whole = {**chunk(None, "stop"), "object": "chat.completion", "usage": USAGE}
    whole["choices"] = [{"finish_reason": "stop", "index": 0, "message": message}]
    return Sample(body=sse(*thoughts, *words, whole), text=TEXT, reasoning="The user asks.")


def _message_in_each_chunk() -> Sample:
    def at(text: str, finish: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": text}}
        return {**chunk(None), "choices": [{**choice, "finish_reason": finish}]}

    return Sample(body=sse(*map(at, PIECES), at("", "stop")), text=TEXT)


def _finish_beside_each_text() -> Sample:
    return Sample(body=sse(*(chunk({"content": text}, "stop") for text in PIECES)), text=TEXT)


def _digits_as_numbers() -> Sample:
    body = sse(chunk({"content": "4 + "}), chunk({"content": 2}), chunk({"content": " = "}),
               chunk({"content": 6}), chunk({"content": 0}), chunk({}, "stop"))  # fmt: skip
    return Sample(body=body, text="4 + 2 = 60")


def _pings_and_statuses() -> Sample:
    status = {"type": "status", "message": "Searching the web", "status": "running"}
    named = f"event: ping\ndata: {compact({'type': 'ping'})}\n\n"
    parts: list[object] = [
        "data: ping\n\n",
        status,
        named,
        "data: [PING]\n\n",
        "data:\n\n",
        "id: 4\n\n",
    ]
    words = contents(*PIECES)
    mixed = [part for pair in zip(parts, words, strict=True) for part in pair]
    return Sample(body=sse(chunk(ROLE), *mixed, status, chunk({}, "stop")), text=TEXT)


def _without_empty_lines() -> Sample:
    body = sse(chunk(ROLE), *contents(*PIECES), chunk({}, "stop"))
    return Sample(body=body.replace(b"\n\n", b"\n"), text=TEXT)


def _lines_of_json() -> Sample:
    body = sse(*contents(*PIECES), chunk({}, "stop"), end="")
    return Sample(body=body.replace(b"\n\n", b"\n").replace(b"data: ", b""), text=TEXT)


def _without_line_ends() -> Sample:
    body = sse(*contents(*PIECES), chunk({}, "stop"))
    return Sample(body=body.replace(b"}\n\ndata: {", b"}data: {"), text=TEXT)


def _function_call() -> Sample:
    deltas = [
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "weather", "arguments": ""},
        }
    ]
    deltas += [{"function_call": {"arguments": text}} for text in CITY]
    body = sse(*map(chunk, deltas), chunk({}, "function_call"))
    return Sample(body=body, calls=(WEATHER,), finish="function_call")


def _completion_then_done() -> Sample:
    message = {"role": "assistant", "content": TEXT, "reasoning_content": "Hm."}
    value = {**chunk(None), "object": "chat.completion", "usage": USAGE}
    value["choices"] = [{"index": 0, "message": message, "finish_reason": "stop"}]
    return Sample(body=(compact(value) + DONE).encode(), text=TEXT, reasoning="Hm.")


def _completion() -> Sample:
    tool = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": WEATHER[1]}}
    message = {"role": "assistant", "content": TEXT, "tool_calls": [tool]}
    value = {**chunk(None), "object": "chat.completion", "usage": USAGE}
    value["choices"] = [{"index": 0, "message": message, "finish_reason": "tool_calls"}]
    body = json.dumps(value, indent=2).encode()
    return Sample(body=body, text=TEXT, calls=(WEATHER,), finish="tool_calls")


def _empty() -> Sample:
    return Sample(
        body=sse(chunk(ROLE), chunk({}, "stop"), {**chunk({}), "choices": [], "usage": USAGE})
    )


CORPUS: dict[str, Sample] = {
    name.removeprefix("_"): make()
    for name, make in list(globals().items())
    if name.startswith("_") and not name.startswith("__") and callable(make) and name != "_"
}
