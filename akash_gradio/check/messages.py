"""All texts of the checker: what each probe tests, its findings, and how to fix them.

Placeholders are filled by `str.format`. Each probe has its own result codes; those in
`ANSWER_FAILURES` are shared by the two probes that request an answer, those in `COMMON` by all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Message(NamedTuple):
    """What was observed and what it means, and what to change ("" if nothing)."""

    text: str
    fix: str = ""


TITLES: Final[Mapping[str, str]] = {
    "reachable": "Reachable",
    "answers": "HTTP response",
    "base-url": "Base URL",
    "key": "API key",
    "wrong-key": "Wrong key rejected",
    "models": "Model list",
    "model-listed": "Model is listed",
    "plain": "Answer",
    "plain-shape": "Answer format",
    "plain-usage": "Token counts",
    "stream": "Streamed answer",
    "content-type": "Stream content type",
    "framing": "Stream framing",
    "chunks": "Stream chunks",
    "finish": "Role and finish reason",
    "done": "[DONE] at the end",
    "usage": "Token counts of a stream",
    "usage-unasked": "Stream without usage",
    "streams-live": "Live streaming",
    "speed": "Speed",
    "temperature-0": "temperature 0",
    "top-p": "top_p 0 and 1",
    "max-tokens": "max_tokens",
    "stop": "stop",
    "system-role": "System prompt",
    "turns": "Conversation",
    "seed": "seed",
    "unknown-field": "Unknown fields",
    "emoji": "Emoji",
    "cjk": "Chinese, Japanese, Korean",
    "code-fences": "Code and markup",
    "control-characters": "Control characters",
    "long-message": "Message of 105 kB",
    "overflow": "Message beyond context",
    "reasoning": "Reasoning format",
    "pictures": "Pictures",
    "at-once": "8 parallel requests",
    "cancel": "Disconnect stops work",
}
"""Probe name to its title, in the order of the report."""

DESCRIPTIONS: Final[Mapping[str, str]] = {
    "reachable": "DNS, TCP, TLS, and how long the certificate is valid",
    "answers": "whether the server responds with HTTP",
    "base-url": "whether the API is at this address, and if not, at which one",
    "key": "whether the API key is accepted",
    "wrong-key": "whether a chat request with a wrong key is rejected",
    "models": "whether `/v1/models` responds in OpenAI's format",
    "model-listed": "whether the model is in that list",
    "plain": "whether a short prompt is answered without streaming",
    "plain-shape": "role, finish reason, id, object and model of the answer",
    "plain-usage": "whether `usage` counts the tokens, in whole numbers",
    "stream": "whether the same prompt is answered as a stream",
    "content-type": "whether the stream is declared as `text/event-stream`",
    "framing": "line endings, blank lines, and one `data:` line per event",
    "chunks": "whether each chunk has `choices` with a `delta`",
    "finish": "whether the role is `assistant` and a finish reason is sent",
    "done": "whether the stream ends with `data: [DONE]`",
    "usage": "whether `stream_options.include_usage` is supported",
    "usage-unasked": "whether a stream without `stream_options` contains no usage",
    "streams-live": "whether text arrives while it is generated, or all at once from a buffering "
    "proxy",
    "speed": "time to the first token, and tokens per second",
    "temperature-0": "whether 0 is accepted",
    "top-p": "whether 0 and 1 are accepted",
    "max-tokens": "whether an answer ends at its limit",
    "stop": "whether an answer ends before a stop sequence",
    "system-role": "whether a system prompt is accepted",
    "turns": "whether a conversation of three turns is accepted",
    "seed": "whether the same seed gives the same answer",
    "unknown-field": "whether an unknown field is ignored",
    "emoji": "whether emoji of several code points are transmitted unchanged",
    "cjk": "whether characters of three bytes are transmitted unchanged",
    "code-fences": "whether code fences, tabs, `<` and `&` are transmitted unchanged",
    "control-characters": "whether tabs, U+0001, U+2028 and U+200B are accepted",
    "long-message": "whether a message of 105 kB passes every proxy",
    "overflow": "how a message beyond the context is refused, and whether the limit matches the "
    "catalog's `tokenLimit`",
    "reasoning": "whether reasoning is in its own field, between `<think>` tags, or before a lone "
    "`</think>`",
    "pictures": "whether a small picture is accepted",
    "at-once": "whether eight parallel streams are answered (or `maxConcurrency`, if lower)",
    "cancel": "whether the next answer is as fast as usual after a client disconnected",
}
"""Probe name to what it tests, for the documentation."""

COMMON: Final[Mapping[str, Message]] = {
    "needs": Message("Not run, because “{need}” did not pass."),
    "busy": Message(
        "No result: the endpoint was too busy.", "Check again when there is less traffic."
    ),
    "silent": Message(
        "No response in time.", "Check again. If this persists, check the server's log."
    ),
}

ANSWER_FAILURES: Final[Mapping[str, Message]] = {
    "ok": Message("Answered."),
    "same": Message("Not run: it fails in the same way as “Answer”."),
    "silent": Message(
        "The answer did not finish within {time}.",
        "Check the server's log and load. A proxy in between may buffer the answer.",
    ),
    "closed": Message("The connection was closed before a response.", "Check the server's log."),
    "no_http": Message("The response is not HTTP.", "Check the port of the address."),
    "cut": Message(
        "The answer was cut off.", "Check the server's log for a crash, and the proxy's timeouts."
    ),
    "redirect": Message("The endpoint redirects ({status}).", "Use the final address."),
    "key": Message("The API key was rejected ({status}). {detail}", "Set the correct apiKey."),
    "context": Message(
        "A message of one sentence was rejected as too long ({status}). {detail}",
        "Start the model with a longer context (vLLM: --max-model-len; llama.cpp: -c).",
    ),
    "model_unknown": Message(
        "The endpoint does not have this model ({status}). {detail}",
        "Use the id that the endpoint lists, or map it with modelMap.",
    ),
    "not_found": Message(
        "There is no such path ({status}). {detail}",
        "The server must provide POST /v1/chat/completions below its base URL.",
    ),
    "starting": Message(
        "The endpoint is still loading its model ({status}). {detail}", "Check again soon."
    ),
    "too_large": Message(
        "A message of one sentence was rejected as too large ({status}). {detail}",
        "Raise the body size limit of the proxy (nginx: client_max_body_size).",
    ),
    "busy": Message(
        "The endpoint is too busy, or a quota is used up ({status}). {detail}",
        "Wait, or raise the quota. maxConcurrency keeps the app below a limit.",
    ),
    "refused": Message(
        "A plain request was refused ({status}). {detail}",
        "The error text names the field. The server must accept OpenAI's chat format.",
    ),
    "status": Message(
        "The endpoint responded with an error ({status}). {detail}", "Check the server's log."
    ),
    "encoding": Message(
        "The body does not match its Content-Encoding.",
        "Turn off compression for this path, at the server or the proxy in front of it.",
    ),
    "too_long": Message(
        "A line of the answer is too long.", "Check the proxy in front of the server."
    ),
    "html": Message(
        "The response is a web page instead of an answer.",
        "The address belongs to a website, a sign-in or an error page. Use the API's address.",
    ),
    "json": Message(
        "The answer contains invalid JSON.", "Fix the server: each event must be valid JSON."
    ),
    "error_body": Message(
        "The response has a success status but contains an error. {detail}",
        "See the error text. The server should respond with a 4xx or 5xx status.",
    ),
    "shape": Message(
        "The response is JSON, but not a chat completion.",
        "The server must respond with OpenAI's `choices`.",
    ),
    "empty": Message(
        "The answer is empty.", "Check the chat template and the stop tokens of the model."
    ),
}

_EXPLAINED: Final = "The error text gives the reason. Repeat the request to see all of it."
_BODY_LIMITS: Final = "Check the body size limits of the proxy and the server."
_UTF8: Final = "Read and write bodies as UTF-8, at the server and at every proxy."
_DISCONNECT: Final = (
    "The server must stop when its client disconnects. Proxies must forward the disconnect."
)

PROBES: Final[Mapping[str, Mapping[str, Message]]] = {
    "reachable": {
        "ok": Message("Connected in {ms} ms."),
        "proxy": Message("Not tested: the environment sends requests through a proxy."),
        "dns": Message("The name {host} is unknown.", "Check the spelling of the host."),
        "refused": Message(
            "No server is listening at {host}.",
            "Start the server, make it listen on 0.0.0.0, and check the port.",
        ),
        "connect": Message("{host} can't be reached.", "Check the network, firewall and port."),
        "silent": Message(
            "{host} does not respond; packets may be dropped.",
            "Check the address and the firewall.",
        ),
        "tls": Message(
            "{host} does not support TLS.",
            "Use http:// for a server without a certificate, or check the port.",
        ),
        "certificate": Message(
            "The certificate is invalid: {detail}.",
            "Renew it, or install the whole chain with the right host name.",
        ),
        "expires": Message("The certificate expires in {days} days.", "Renew it."),
    },
    "answers": {
        "ok": Message("Responded with status {status}."),
        "silent": Message(
            "The server accepted the connection but sent nothing for {time}.",
            "It may be stuck, or still loading its model. Check its log.",
        ),
        "closed": Message(
            "The server closed the connection without a response.",
            "It may have crashed, or the port may belong to another service. Check its log.",
        ),
        "no_http": Message(
            "The response is not HTTP.", "The port belongs to another service. Check the port."
        ),
    },
    "base-url": {
        "ok": Message("The API is at {url}."),
        "completed": Message("The API is at {url}. The address was completed."),
        "redirect": Message(
            "The endpoint redirects ({status}, to {where}). API keys are not sent to redirects.",
            "Use the final address, with https:// if the server requires it.",
        ),
        "elsewhere": Message(
            "The API is not at this address, but at {base}.", "Use {base} as the address."
        ),
        "website": Message(
            "This is the address of a website, not of an API.",
            "Use the API's base URL, for example https://host/v1.",
        ),
        "nowhere": Message(
            "There is no API at this address.",
            "Use the API's base URL, for example https://host/v1.",
        ),
    },
    "key": {
        "ok": Message("Accepted."),
        "none": Message("No key is set, and none is required."),
        "refused": Message(
            "The API key was rejected ({status}). {detail}",
            "Set apiKey to the server's key (vLLM: --api-key), without “Bearer”.",
        ),
        "missing": Message(
            "The endpoint requires a key, but none is set ({status}). {detail}",
            "Set apiKey, or use --key-env NAME here.",
        ),
    },
    "wrong-key": {
        "ok": Message("A wrong key is rejected ({status})."),
        "open_here": Message(
            "Any key is accepted, but the endpoint can only be reached from a private network."
        ),
        "open": Message(
            "Any key is accepted: anyone can use the endpoint at your cost.",
            "Start the server with a key (vLLM: --api-key).",
        ),
        "odd": Message(
            "A wrong key gets the status {status} instead of 401.",
            "Respond with 401, so that clients can tell a wrong key from a broken server.",
        ),
    },
    "models": {
        "ok": Message("{count} listed."),
        "missing": Message(
            "There is no /v1/models ({status}), so models can't be discovered.",
            "Name the models in ENDPOINTS.",
        ),
        "failed": Message("/v1/models fails ({status}). {detail}", "Name the models in ENDPOINTS."),
        "shape": Message(
            "/v1/models does not return a list of models.",
            'Return {{"object": "list", "data": [{{"id": "…"}}]}}, or name them in ENDPOINTS.',
        ),
        "other_shape": Message(
            "/v1/models can be read, but is not in OpenAI's format.",
            'Return {{"object": "list", "data": [{{"id": "…"}}]}}: other clients need it.',
        ),
        "empty": Message("No model is listed.", "Load a model, or name it in ENDPOINTS."),
    },
    "model-listed": {
        "ok": Message("{model} is listed."),
        "chosen": Message("{model} was used: the first in the list, as no model was named."),
        "no_list": Message("Not tested: there is no model list."),
        "near": Message(
            "{model} is not listed, but {near} is.", "Use the id that the endpoint lists."
        ),
        "not_listed": Message(
            "{model} is not listed. The endpoint lists {names}.",
            "Use the id that the endpoint lists, or map it with modelMap.",
        ),
    },
    "plain": {
        **ANSWER_FAILURES,
        "ok": Message("Answered in {time}."),
        "streamed_unasked": Message(
            "The endpoint streams although no stream was requested.",
            "The server must stream only if `stream` is true.",
        ),
    },
    "plain-shape": {
        "ok": Message("OpenAI's format, with finish reason {finish}."),
        "role": Message("The role of the answer is {role}.", "Send role: assistant."),
        "no_finish": Message(
            "There is no finish reason, so a truncated answer can't be detected.",
            "Send finish_reason: stop or length.",
        ),
        "fields": Message("Missing: {names}.", "Send these fields: some clients require them."),
    },
    "plain-usage": {
        "ok": Message("{tokens_in} tokens in, {tokens_out} out."),
        "missing": Message(
            "Token counts are missing. The app estimates them.", "Send usage with the answer."
        ),
        "fractions": Message(
            "Token counts are fractions.", "Round them: typed clients reject fractions."
        ),
    },
    "stream": {
        **ANSWER_FAILURES,
        "ok": Message("Streamed in {chunks} chunks."),
        "whole_json": Message(
            "The endpoint does not stream: visitors see nothing until the answer is complete.",
            "The server must respect `stream: true`.",
        ),
    },
    "content-type": {
        "ok": Message("text/event-stream."),
        "other": Message(
            "The stream is declared as {content_type}.",
            "Send Content-Type: text/event-stream: browsers and proxies depend on it.",
        ),
    },
    "framing": {
        "ok": Message("Follows the standard."),
        "bom": Message("The stream begins with a byte-order mark.", "Remove it."),
        "cr_lines": Message(
            "Lines end with CR only, which many clients can't read.", "End lines with LF."
        ),
        "unterminated": Message(
            "The last event does not end with a blank line. Strict clients drop it.",
            "End every event with a blank line.",
        ),
        "several_lines": Message(
            "The JSON of an event is split over several data: lines.",
            "Send it on one line: many clients parse each line separately.",
        ),
        "stray_lines": Message(
            "Some lines are not fields of an event stream.",
            "Begin each line with data: or a colon.",
        ),
    },
    "chunks": {
        "ok": Message("All {count} chunks have choices and a delta."),
        "no_choices": Message(
            "A chunk has no `choices`.", "Send an empty list if there are no choices."
        ),
        "no_delta": Message(
            "A choice has no `delta`.", "Send an empty object if there is nothing new."
        ),
    },
    "finish": {
        "ok": Message("Finish reason {finish}."),
        "role": Message("The role of the answer is {role}.", "Send role: assistant."),
        "missing": Message(
            "There is no finish reason, so a truncated answer can't be detected.",
            "Send finish_reason: stop or length in the last chunk.",
        ),
    },
    "done": {
        "ok": Message("Present."),
        "missing": Message("Missing.", "End each stream with data: [DONE]."),
    },
    "usage": {
        "ok": Message("{tokens_in} tokens in, {tokens_out} out."),
        "refused": Message(
            "`stream_options` is rejected. The app omits it from now on and estimates tokens.",
            "Update the server.",
        ),
        "missing": Message(
            "`include_usage` is ignored. The app estimates tokens.",
            "Send usage if include_usage is true.",
        ),
        "fractions": Message(
            "Token counts are fractions.", "Round them: typed clients reject fractions."
        ),
    },
    "usage-unasked": {
        "ok": Message("Usage was not requested and not sent."),
        "unasked": Message(
            "A chunk with usage and without choices is sent although it was not requested.",
            "Send it only for include_usage: some clients fail on empty choices.",
        ),
        "failed": Message(
            "A stream without `stream_options` fails ({status}).",
            "`stream_options` must be optional.",
        ),
    },
    "streams-live": {
        "ok": Message("{count} chunks of text over {time}."),
        "too_fast": Message("The answer took only {time}, too fast to measure or to matter."),
        "fast": Message("Not buffered: a longer answer also begins at once."),
        "lump": Message(
            "All text arrives at once at the end ({time}): a proxy buffers it.",
            "Turn off buffering (nginx: proxy_buffering off; others: X-Accel-Buffering: no) and "
            "compression.",
        ),
    },
    "speed": {
        "ok": Message("First token after {first}, then {speed}."),
        "unmeasured": Message("Not measured: the answer has no text."),
        "first_alone": Message("First token after {first}. Too short to measure tokens/s."),
        "slow_first": Message(
            "The first token took {first}.",
            "Use more or larger GPUs, or fewer parallel requests (maxConcurrency).",
        ),
        "slow": Message(
            "First token after {first}, then {speed}: slower than people read.",
            "Use a smaller or quantized model, or a larger GPU.",
        ),
    },
    "temperature-0": {"ok": Message("Accepted.")},
    "top-p": {
        "ok": Message("Both accepted."),
        "refused": Message(
            "top_p {value} is rejected. {detail}",
            "Nothing to do: it is sent only if a visitor sets this value.",
        ),
    },
    "max-tokens": {
        "ok": Message("The answer ended after {tokens} tokens."),
        "ignored": Message(
            "The answer has {tokens} tokens instead of at most {limit}.",
            "The server must respect max_tokens: visitors use it to limit cost.",
        ),
    },
    "stop": {
        "ok": Message("The answer ended before the stop sequence."),
        "too_short": Message("Not tested: the answer was too short."),
        "ignored": Message(
            "The answer continues after a stop sequence.", "The server must respect stop."
        ),
    },
    "system-role": {"ok": Message("Accepted.")},
    "turns": {"ok": Message("Accepted.")},
    "seed": {
        "ok": Message("The same seed gave the same answer."),
        "differs": Message(
            "The same seed gave different answers, so comparisons can't be reproduced.",
            "Turn on deterministic results, if the server has such an option.",
        ),
    },
    "unknown-field": {"ok": Message("Ignored.")},
    "long-message": {
        "ok": Message("Accepted, and answered in {time}."),
        "context": Message("Received, but longer than the model's context."),
        "too_large": Message(
            "Rejected before it reached the model (413).",
            "Raise the body size limit of the proxy (nginx: client_max_body_size).",
        ),
        "refused": Message(
            "Refused ({status}). Long chats will fail in the same way. {detail}", _EXPLAINED
        ),
        "failed": Message("Failed ({status}). {detail}", _BODY_LIMITS),
    },
    "overflow": {
        "ok": Message("Refused with a clear error that names the limit, {limit} tokens."),
        "no_number": Message("Refused with a clear error that does not name the limit."),
        "unknown": Message(
            "Not tested: neither the endpoint nor the catalog states the context length.",
            "Add tokenLimit to the model's catalog entry.",
        ),
        "too_large": Message("Not tested: {limit} tokens are too many for a check."),
        "catalog": Message(
            "The limit is {limit} tokens, but the catalog has {catalog}.",
            "Set tokenLimit = {exact} in the catalog.",
        ),
        "answered": Message(
            "A message of more than {limit} tokens is answered: the endpoint drops text silently, "
            "and long chats lose their first messages.",
            "Configure the server to refuse it (Ollama: raise num_ctx).",
        ),
        "unclear": Message(
            "Refused with an unknown error ({status}), so visitors don't learn that the chat is "
            "too long. {detail}",
            "Use OpenAI's error code, context_length_exceeded.",
        ),
        "failed": Message(
            "A message beyond the context fails ({status}). {detail}",
            "Check the server's log. It should refuse the message with 400.",
        ),
    },
    "reasoning": {
        "none": Message("No reasoning was sent."),
        "reasoning_content": Message("In its own field, reasoning_content."),
        "reasoning": Message("In its own field, reasoning."),
        "tags": Message("Between <think> and </think>."),
        "end_alone": Message(
            "Before a lone </think>: the opening tag is part of the prompt. From now on the app "
            "treats everything before </think> as reasoning.",
            "Turn on the server's reasoning parser (vLLM: --reasoning-parser).",
        ),
    },
    "pictures": {
        "taken": Message("Accepted."),
        "not_taken": Message("Not accepted."),
        "promised": Message(
            "Not accepted, but the catalog has vision = true.",
            "Remove vision from the catalog entry, or load the model with vision.",
        ),
    },
    "at-once": {
        "ok": Message("All {count} requests were answered, the slowest after {time}."),
        "busy": Message(
            "{ok} of {count} requests were answered, the others rejected (429).",
            "Set maxConcurrency to {ok}.",
        ),
        "failed": Message(
            "{ok} of {count} requests were answered ({status}). {detail}",
            "Check the server's log, and set maxConcurrency to what it can handle.",
        ),
    },
    "cancel": {
        "ok": Message("The first token of the next answer arrived after {now}, as usual."),
        "no_stream": Message("Not tested: the long answer did not begin."),
        "goes_on": Message(
            "After a disconnect, the next answer's first token took {now} instead of {usual}: "
            "the server continues the abandoned answer.",
            _DISCONNECT,
        ),
        "blocked": Message(
            "After a disconnect, the next request is not answered.",
            _DISCONNECT,
        ),
    },
}
"""Probe name to result code to message."""

REFUSED: Final = Message("Refused ({status}). {detail}", _EXPLAINED)
FAILED: Final = Message("Failed ({status}). {detail}", "Check the server's log.")
TEXT: Final[Mapping[str, Message]] = {
    "repeated": Message("Returned unchanged."),
    "answered": Message("Accepted and answered, but not repeated by the model."),
    "misread": Message("Returned in the wrong encoding: UTF-8 was decoded as another one.", _UTF8),
    "lost": Message("Characters were lost.", _UTF8),
    "escaped": Message(
        "Returned with HTML escapes.",
        "Don't escape text, neither in the server nor in a proxy: the page does it itself.",
    ),
}
TEXT_PROBES: Final = ("emoji", "cjk", "code-fences", "control-characters")


def messages_of(probe: str) -> Mapping[str, Message]:
    """Return result code to message for one probe."""
    own = TEXT if probe in TEXT_PROBES else PROBES[probe]
    return {**COMMON, "refused": REFUSED, "failed": FAILED, **own}


def render(probe: str, code: str, facts: Mapping[str, object]) -> tuple[str, str]:
    """Return the text and the fix of a result.

    Args:
        probe: Name of the probe.
        code: The result's code.
        facts: Values for the placeholders.
    """
    text, fix = messages_of(probe)[code]
    return text.format_map(facts).strip(), fix.format_map(facts).strip()


VERDICTS: Final[Mapping[str, str]] = {
    "pass": "pass",
    "warn": "warn",
    "fail": "FAIL",
    "skipped": "skip",
}
COST: Final = (
    "Checking {name}: at most {calls} calls, {tokens_in} tokens in and {tokens_out} out, "
    "in about {time}."
)
SUMMARY: Final = "{name}: {passed} passed, {warned} warnings, {failed} failed, {skipped} not run"
UNNAMED_ENDPOINT: Final = "endpoint"
"""The name in reports of an endpoint that is checked by its address."""

CATALOG_CONTEXT_MISMATCH: Final = (
    "contradicts the text, which mentions “{claims}”; correct one of them"
)
CATALOG_NO_ENTRY: Final = "has no entry in the catalog; add one"
CATALOG_NOT_SERVED: Final = (
    "is not served by any endpoint; add an endpoint, or set available = false"
)
CATALOG_THUMBNAIL_MISSING: Final = (
    "is not in assets/thumbnails (.svg, .png or .webp); until then a monogram is shown"
)
CATALOG_ENDPOINT_UNLISTED: Final = (
    "has no readable /v1/models, so its models are unknown; name them in ENDPOINTS"
)
