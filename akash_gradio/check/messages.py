"""Every sentence of the checker: what a probe asks, what it found, and what to mend.

Braces are filled with `str.format`. A probe's codes are its own; `ANSWERS` are shared by the
two that ask for an answer, `COMMON` by all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class Says(NamedTuple):
    """What was found, and what to do about it ("" where nothing is)."""

    says: str
    mend: str = ""


TITLES: Final[Mapping[str, str]] = {
    "reachable": "Reachable",
    "answers": "Speaks HTTP",
    "base-url": "Base URL",
    "key": "Key accepted",
    "wrong-key": "Wrong key refused",
    "models": "List of models",
    "model-listed": "Model is listed",
    "plain": "Plain answer",
    "plain-shape": "Shape of the answer",
    "plain-usage": "Tokens reported",
    "stream": "Streamed answer",
    "content-type": "Content type",
    "framing": "Framing of the stream",
    "chunks": "Shape of the chunks",
    "finish": "Role and finish reason",
    "done": "[DONE] at the end",
    "usage": "Tokens of a stream",
    "usage-unasked": "Stream without usage",
    "streams-live": "Really streams",
    "speed": "Speed",
    "temperature-0": "temperature 0",
    "top-p": "top_p 0 and 1",
    "max-tokens": "max_tokens",
    "stop": "stop",
    "system-role": "System role",
    "turns": "Several turns",
    "seed": "Seed repeats",
    "unknown-field": "Unknown fields",
    "emoji": "Emoji",
    "cjk": "Chinese, Japanese, Korean",
    "code-fences": "Code and markup",
    "control-characters": "Control characters",
    "long-message": "A message of 100 kB",
    "overflow": "Past the context",
    "reasoning": "Style of reasoning",
    "pictures": "Pictures",
    "at-once": "8 at once",
    "cancel": "Leaving stops the work",
}
"""Probe → its name for people, in the order of the report."""

ASKS: Final[Mapping[str, str]] = {
    "reachable": "name, TCP, TLS, and how long the certificate is good for",
    "answers": "whether HTTP comes back at all",
    "base-url": "whether the API lies where the address says, and where it lies if not",
    "key": "whether the key is accepted",
    "wrong-key": "whether a wrong key is refused, at the chat itself",
    "models": "whether `/v1/models` answers, in OpenAI's shape",
    "model-listed": "whether the model is in that list",
    "plain": "whether a short question is answered, not streamed",
    "plain-shape": "role, finish reason, id, object, model",
    "plain-usage": "whether `usage` counts the tokens, in whole numbers",
    "stream": "whether the same comes streamed",
    "content-type": "whether it is declared as `text/event-stream`",
    "framing": "line ends, blank lines, one `data:` line an event",
    "chunks": "whether each chunk has `choices` with a `delta`",
    "finish": "whether the role is `assistant` and a finish reason comes",
    "done": "whether the stream ends with `data: [DONE]`",
    "usage": "whether `stream_options.include_usage` is known and obeyed",
    "usage-unasked": "whether a stream without `stream_options` is left without usage",
    "streams-live": "whether words come one by one, or in one late lump from a buffering proxy",
    "speed": "time to the first token, and tokens a second",
    "temperature-0": "whether 0 is taken as a value",
    "top-p": "whether 0 and 1 are taken as values",
    "max-tokens": "whether an answer ends at its limit",
    "stop": "whether an answer ends before a stop sequence",
    "system-role": "whether a system prompt is taken",
    "turns": "whether a conversation of three turns is taken",
    "seed": "whether the same seed gives the same answer",
    "unknown-field": "whether a field that it doesn't know is passed over",
    "emoji": "whether emoji of several code points come through",
    "cjk": "whether scripts of three bytes a character come through",
    "code-fences": "whether code fences, tabs, `<` and `&` come through",
    "control-characters": "whether tabs, U+0001, U+2028 and U+200B come through",
    "long-message": "whether 105 kB get past every proxy on the way",
    "overflow": "how it refuses a message past its context, against the catalog's `tokenLimit`",
    "reasoning": "in a field, between `<think>` tags, or before an end tag alone",
    "pictures": "whether a small picture is taken",
    "at-once": "whether eight streams at once are answered (or `maxConcurrency`, if that is less)",
    "cancel": "whether the next answer comes as fast as usual after a long one was left",
}
"""Probe → what it asks, for the documentation."""

COMMON: Final[Mapping[str, Says]] = {
    "needs": Says("Not run, because “{need}” did not pass."),
    "busy": Says("Not told: the endpoint had too much to do.", "Check again when it is quiet."),
    "silent": Says("No answer in time.", "Check again; if it stays so, look at the server's log."),
}

ANSWERS: Final[Mapping[str, Says]] = {
    "ok": Says("An answer came."),
    "same": Says("Not told apart: it fails as the plain answer does."),
    "silent": Says(
        "The answer did not come to its end within {seconds} s.",
        "Look at the server's log and load; a proxy on the way may hold the answer back.",
    ),
    "closed": Says("The connection was closed before an answer.", "Look at the server's log."),
    "no_http": Says("What came back is not HTTP.", "Check the port of the address."),
    "cut": Says(
        "The answer broke off in the middle.",
        "Look at the server's log; a proxy's time-out or a crash ends answers so.",
    ),
    "redirect": Says("It sends elsewhere ({status}).", "Write the final address."),
    "key": Says("It refuses the key ({status}). {detail}", "Set the right apiKey."),
    "context": Says(
        "It calls a message of one sentence too long ({status}). {detail}",
        "Start the model with a longer context (vLLM: --max-model-len; llama.cpp: -c).",
    ),
    "model_unknown": Says(
        "It does not know this model ({status}). {detail}",
        "Write the id as the endpoint lists it, or map it with modelMap.",
    ),
    "not_found": Says(
        "There is no such address ({status}). {detail}",
        "The server must offer POST /v1/chat/completions below its base.",
    ),
    "starting": Says("It is still loading its model ({status}). {detail}", "Check again soon."),
    "too_large": Says(
        "It calls a message of one sentence too large ({status}). {detail}",
        "Raise the limit of the proxy (nginx: client_max_body_size).",
    ),
    "busy": Says(
        "It has too much to do, or a quota is used up ({status}). {detail}",
        "Wait, or raise the quota; maxConcurrency keeps the app below a limit.",
    ),
    "refused": Says(
        "It refuses a plain question ({status}). {detail}",
        "Its words say which field; the server must take OpenAI's chat format.",
    ),
    "status": Says("It answers with an error ({status}). {detail}", "Look at the server's log."),
    "encoding": Says(
        "The body is not what its Content-Encoding says.",
        "Switch compression off for this address, at the server or the proxy before it.",
    ),
    "too_long": Says("A line of the answer has no end.", "Look at what stands before the server."),
    "html": Says(
        "A web page came instead of an answer.",
        "The address leads to a website, a login or a proxy's error page; write the API's own.",
    ),
    "json": Says("The answer holds broken JSON.", "Look at the server; each event must be JSON."),
    "error_body": Says(
        "An error came with a status of success. {detail}",
        "Its words say what failed; a server should answer with 4xx or 5xx then.",
    ),
    "shape": Says(
        "The answer is JSON, and no completion.",
        "The server must answer with OpenAI's `choices`.",
    ),
    "empty": Says(
        "The answer had no word in it.",
        "Look at the chat template and the stop tokens of the model.",
    ),
}

PROBES: Final[Mapping[str, Mapping[str, Says]]] = {
    "reachable": {
        "ok": Says("Connected in {ms} ms."),
        "proxy": Says("Asked through the proxy that the environment names, so not tried."),
        "dns": Says("The name {host} is unknown.", "Check the spelling of the host."),
        "refused": Says(
            "Nothing listens at {host}.",
            "Start the server, let it listen on 0.0.0.0, and check the port.",
        ),
        "connect": Says("No connection to {host}.", "Check network, firewall and port."),
        "silent": Says("{host} does not answer.", "Check address and firewall: packets get lost."),
        "tls": Says(
            "{host} does not speak TLS.",
            "Write http:// for a server without a certificate, or check the port.",
        ),
        "certificate": Says(
            "The certificate is not accepted: {detail}.",
            "Renew it, or put the whole chain and the right name into it.",
        ),
        "expires": Says("The certificate ends in {days} days.", "Renew it."),
    },
    "answers": {
        "ok": Says("It answered with status {status}."),
        "silent": Says(
            "It takes the connection and says nothing for {seconds} s.",
            "The server hangs, or is loading its model; look at its log.",
        ),
        "closed": Says(
            "It closes the connection without an answer.",
            "The server crashes at the request, or the port is another service's.",
        ),
        "no_http": Says("It does not speak HTTP.", "The port is another service's; check it."),
    },
    "base-url": {
        "ok": Says("The API is at {url}."),
        "completed": Says("The API is at {url}; the address was completed."),
        "redirect": Says(
            "It sends elsewhere ({status}, to {where}), and keys are never sent along.",
            "Write the final address, with https:// where it wants that.",
        ),
        "elsewhere": Says("The API is not here, but at {base}.", "Write {base} as the address."),
        "website": Says(
            "A website answers here, and no API.",
            "Write the API's base, as in https://host/v1.",
        ),
        "nowhere": Says(
            "There is no API at this address.", "Write the API's base, as in https://host/v1."
        ),
    },
    "key": {
        "ok": Says("The key is accepted."),
        "none": Says("No key is set, and none is asked for."),
        "refused": Says(
            "The key is refused ({status}). {detail}",
            "Set apiKey to the server's key (vLLM: --api-key), without “Bearer”.",
        ),
        "missing": Says(
            "It asks for a key, and none is set ({status}). {detail}",
            "Set apiKey (or --key-env NAME here).",
        ),
    },
    "wrong-key": {
        "ok": Says("A wrong key is refused ({status})."),
        "open_here": Says("It takes any key, and only a private network reaches it."),
        "open": Says(
            "It takes any key: everybody can use it at your cost.",
            "Start the server with a key (vLLM: --api-key).",
        ),
        "odd": Says(
            "A wrong key is answered with {status}.",
            "401 lets a client tell a wrong key from a broken server.",
        ),
    },
    "models": {
        "ok": Says("Models listed: {count}."),
        "missing": Says(
            "It has no /v1/models ({status}).",
            "Name the models in ENDPOINTS; they can't be discovered.",
        ),
        "failed": Says("/v1/models fails ({status}). {detail}", "Name the models in ENDPOINTS."),
        "shape": Says(
            "/v1/models is no list of models.",
            'Answer {{"object": "list", "data": [{{"id": "…"}}]}}, or name them in ENDPOINTS.',
        ),
        "other_shape": Says(
            "/v1/models can be read, and is not in OpenAI's shape.",
            'Other clients want {{"object": "list", "data": [{{"id": "…"}}]}}.',
        ),
        "empty": Says("It lists no model.", "Load a model, or name it in ENDPOINTS."),
    },
    "model-listed": {
        "ok": Says("{model} is listed."),
        "chosen": Says("None was asked for; {model} is the first that it lists."),
        "no_list": Says("Not told, for want of a list."),
        "near": Says("{model} is not listed; {near} is.", "Write the id as the endpoint lists it."),
        "not_listed": Says(
            "{model} is not listed; it lists {names}.",
            "Write the id as the endpoint lists it, or map it with modelMap.",
        ),
    },
    "plain": {
        **ANSWERS,
        "ok": Says("Answered in {seconds} s."),
        "streamed_unasked": Says(
            "It streams though no stream was asked.", "Obey `stream: false`, also when left out."
        ),
    },
    "plain-shape": {
        "ok": Says("As OpenAI's, with finish reason {finish}."),
        "role": Says("The role of the answer is {role}.", "Send role: assistant."),
        "no_finish": Says("It gives no finish reason.", "Send finish_reason: stop or length."),
        "fields": Says("It leaves out {names}.", "Some clients insist on them."),
    },
    "plain-usage": {
        "ok": Says("{tokens_in} tokens in, {tokens_out} out."),
        "missing": Says("It reports no tokens.", "Send usage; until then they are estimated."),
        "fractions": Says(
            "It reports fractions of tokens.", "Round them; typed clients refuse fractions."
        ),
    },
    "stream": {
        **ANSWERS,
        "ok": Says("Streamed, in {chunks} chunks."),
        "whole_json": Says(
            "It answers in one piece though a stream was asked.",
            "Obey `stream: true`; visitors wait for the last word before they see the first.",
        ),
    },
    "content-type": {
        "ok": Says("text/event-stream."),
        "other": Says(
            "The stream is declared as {kind}.",
            "Send Content-Type: text/event-stream; browsers and proxies go by it.",
        ),
    },
    "framing": {
        "ok": Says("As the standard says."),
        "bom": Says("The stream begins with a byte-order mark.", "Leave it out."),
        "cr_lines": Says("Lines end in CR alone.", "End them with LF; many clients read no CR."),
        "unterminated": Says(
            "The last event is not ended by a blank line.",
            "End every event with a blank line; strict clients drop the last one.",
        ),
        "several_lines": Says(
            "An event's JSON goes over several data: lines.",
            "Put it on one line; many clients read each line for itself.",
        ),
        "stray_lines": Says(
            "Lines are no field of an event stream.", "Begin each with data: or a colon."
        ),
    },
    "chunks": {
        "ok": Says("Each of {count} has its choices and delta."),
        "no_choices": Says("A chunk has no `choices`.", "Send an empty list where there are none."),
        "no_delta": Says("A choice has no `delta`.", "Send an empty object where nothing is new."),
    },
    "finish": {
        "ok": Says("Finish reason {finish}."),
        "role": Says("The role of the answer is {role}.", "Send role: assistant."),
        "missing": Says(
            "No finish reason comes.",
            "Send finish_reason: stop or length in the last chunk; without it a cut can't be seen.",
        ),
    },
    "done": {
        "ok": Says("It comes."),
        "missing": Says("It does not come.", "End each stream with data: [DONE]."),
    },
    "usage": {
        "ok": Says("{tokens_in} tokens in, {tokens_out} out."),
        "refused": Says(
            "It refuses `stream_options`.",
            "The app leaves them out from now on, and estimates tokens; update the server.",
        ),
        "missing": Says(
            "It passes over `include_usage`.", "Until it reports tokens they are estimated."
        ),
        "fractions": Says(
            "It reports fractions of tokens.", "Round them; typed clients refuse fractions."
        ),
    },
    "usage-unasked": {
        "ok": Says("No usage was asked for, and none came."),
        "unasked": Says(
            "A chunk of usage without choices comes unasked.",
            "Send it only for include_usage; clients stumble over the empty choices.",
        ),
        "failed": Says(
            "Without `stream_options` the stream fails ({status}).", "They must be optional."
        ),
    },
    "streams-live": {
        "ok": Says("{count} pieces of text came over {seconds} s."),
        "too_fast": Says("The whole answer took {seconds} s: too fast to tell, and to matter."),
        "fast": Says("The words come close together, and the first one at once."),
        "lump": Says(
            "The words come in one lump at the end ({seconds} s).",
            "A proxy buffers: switch it off (nginx: proxy_buffering off; others: "
            "X-Accel-Buffering: no), compression too.",
        ),
    },
    "speed": {
        "ok": Says("First token after {first} s, then {rate} tokens/s."),
        "unmeasured": Says("Not told: no text came that could be timed."),
        "first_alone": Says("First token after {first} s; too short to tell the tokens/s."),
        "slow_first": Says(
            "The first token took {first} s.",
            "More or larger GPUs, or fewer requests at once (maxConcurrency).",
        ),
        "slow": Says(
            "{rate} tokens/s, the first after {first} s: slower than people read.",
            "A smaller or quantized model, or a larger GPU.",
        ),
    },
    "temperature-0": {"ok": Says("It is taken.")},
    "top-p": {
        "ok": Says("Both are taken."),
        "refused": Says(
            "It refuses top_p {value}. {detail}",
            "It is sent only when a visitor sets it so; the others are not concerned.",
        ),
    },
    "max-tokens": {
        "ok": Says("The answer ended after {tokens} tokens."),
        "ignored": Says(
            "{asked} were asked for, {tokens} came.",
            "The server must obey max_tokens; visitors set it to limit cost.",
        ),
    },
    "stop": {
        "ok": Says("The answer ended before it."),
        "too_short": Says("Not told: the answer was too short to stop inside."),
        "ignored": Says("It goes on past a stop sequence.", "The server must obey stop."),
    },
    "system-role": {"ok": Says("It is taken.")},
    "turns": {"ok": Says("They are taken.")},
    "seed": {
        "ok": Says("The same seed gave the same answer."),
        "differs": Says(
            "The same seed gave another answer.",
            "Comparisons can't be repeated here; some servers need a switch for it.",
        ),
    },
    "unknown-field": {"ok": Says("They are passed over.")},
    "long-message": {
        "ok": Says("It is taken, and answered in {seconds} s."),
        "context": Says("It arrives, and is past the model's context."),
        "too_large": Says(
            "Something before the model refuses it (413).",
            "Raise the limit of the proxy (nginx: client_max_body_size).",
        ),
        "refused": Says(
            "It is refused ({status}). {detail}", "Its words say why; long chats end so."
        ),
        "failed": Says(
            "It fails ({status}). {detail}",
            "Look at the limits of proxy and server for the size of a body.",
        ),
    },
    "overflow": {
        "ok": Says("It is refused in words that are understood: the limit is {said} tokens."),
        "no_number": Says("It is refused in words that are understood, without a number."),
        "unknown": Says(
            "Not told: neither the endpoint nor the catalog says how long the context is.",
            "Give the model's entry in the catalog a tokenLimit.",
        ),
        "too_large": Says("Not tried: {limit} tokens would be too many for a check."),
        "catalog": Says(
            "Its limit is {said} tokens, and the catalog says {catalog}.",
            "Write tokenLimit = {exact} into the catalog.",
        ),
        "answered": Says(
            "It answers a message past {limit} tokens: it leaves out words silently.",
            "Make the server refuse it (Ollama: raise num_ctx), or chats lose their beginning.",
        ),
        "unclear": Says(
            "It refuses in words that are not understood ({status}). {detail}",
            "Visitors see the refusal and not that the chat is too long; OpenAI's code "
            "is context_length_exceeded.",
        ),
        "failed": Says(
            "It fails at a message past its context ({status}). {detail}",
            "Look at the server's log: it should refuse with 400.",
        ),
    },
    "reasoning": {
        "none": Says("None was seen."),
        "reasoning_content": Says("In a field of its own, reasoning_content."),
        "reasoning": Says("In a field of its own, reasoning."),
        "tags": Says("Between <think> and </think>."),
        "end_alone": Says(
            "Before </think> alone: the prompt opens the tag.",
            "From now on what comes first is taken for reasoning; better, switch the server's "
            "reasoning parser on (vLLM: --reasoning-parser).",
        ),
    },
    "pictures": {
        "taken": Says("They are taken."),
        "not_taken": Says("They are not taken."),
        "promised": Says(
            "They are not taken, and the catalog says vision = true.",
            "Take vision out of the catalog's entry, or load the model with its vision part.",
        ),
    },
    "at-once": {
        "ok": Says("All {count} were answered, the slowest after {seconds} s."),
        "busy": Says(
            "{ok} of {count} were answered, the others told to come later (429).",
            "Set maxConcurrency to {ok}.",
        ),
        "failed": Says(
            "{ok} of {count} were answered ({status}). {detail}",
            "Look at the server's log; set maxConcurrency to what it bears.",
        ),
    },
    "cancel": {
        "ok": Says("The next first token came after {now} s, as usual."),
        "no_stream": Says("Not told: the long answer did not begin."),
        "goes_on": Says(
            "The next first token took {now} s instead of {usual} s: the work goes on.",
            "Let the server watch for the client's leaving, or a proxy pass it on.",
        ),
        "blocked": Says(
            "After leaving a long answer the next one does not come.",
            "Let the server watch for the client's leaving, or a proxy pass it on.",
        ),
    },
}
"""Probe → code → what it says."""

REFUSED: Final = Says("It is refused ({status}). {detail}", "Its words say why; see the request.")
FAILED: Final = Says("It fails ({status}). {detail}", "Look at the server's log.")
TEXT: Final[Mapping[str, Says]] = {
    "repeated": Says("Came back unchanged."),
    "answered": Says("Taken, and answered; the model did not repeat it."),
    "misread": Says(
        "Came back as if UTF-8 were another encoding.",
        "Read and write the bodies as UTF-8, at the server and every proxy.",
    ),
    "lost": Says(
        "Characters were lost on the way.",
        "Read and write the bodies as UTF-8, at the server and every proxy.",
    ),
    "escaped": Says(
        "Came back escaped as HTML.", "Nothing on the way may escape; the page does it itself."
    ),
}
TEXTS: Final = ("emoji", "cjk", "code-fences", "control-characters")


def sentences(probe: str) -> Mapping[str, Says]:
    """Code → sentence, of all that a probe can say."""
    own = TEXT if probe in TEXTS else PROBES[probe]
    return {**COMMON, "refused": REFUSED, "failed": FAILED, **own}


def told(probe: str, code: str, facts: Mapping[str, object]) -> tuple[str, str]:
    """What the probe says and the mend, with the facts in them."""
    says, mend = sentences(probe)[code]
    return says.format_map(facts).strip(), mend.format_map(facts).strip()


VERDICTS: Final[Mapping[str, str]] = {
    "pass": "pass",
    "warn": "warn",
    "fail": "FAIL",
    "skipped": "skip",
}
COST: Final = (
    "Checking {name}: at most {calls} calls, {tokens_in} tokens in and {tokens_out} out. "
    "It takes about {seconds} s."
)
SUMMARY: Final = "{name}: {passed} passed, {warned} warned, {failed} failed, {skipped} not run"

USAGE: Final = "Find out whether an endpoint will serve, and what to change if not."
USAGE_ENDPOINT: Final = "its address, its name in ENDPOINTS, or all (the default)"
USAGE_MODEL: Final = "the model to ask; else the first that is named or listed"
USAGE_KEY: Final = "the environment variable that holds the key of an address"
USAGE_QUICK: Final = "the address, the key and two answers alone"
USAGE_FULL: Final = "long messages too (25,000 tokens; past the context up to 200,000 more)"
USAGE_JSON: Final = "print one JSON document"
BY_URL: Final = "endpoint"
KEY_WITH_URL: Final = "--key-env goes with an address; the keys of ENDPOINTS stand there."
KEY_UNSET: Final = "The variable that --key-env names is not set."
NONE_CONFIGURED: Final = (
    "No endpoint is configured. Write its address behind check, or set ENDPOINTS "
    "(or API_ENDPOINT and API_KEY)."
)
NO_SUCH_ENDPOINT: Final = "There is no endpoint called {name}; there are: {names}."

CATALOG_USAGE: Final = "Check the catalog of models, or make one from a models.ts."
CATALOG_USAGE_CHECK: Final = "find what contradicts itself, and what no endpoint serves"
CATALOG_USAGE_FILE: Final = "the catalog; else CATALOG_FILE, else the shipped one"
CATALOG_USAGE_OFFLINE: Final = "don't ask the endpoints what they serve"
CATALOG_USAGE_IMPORT: Final = "print entries of a TypeScript file as a catalog in TOML"
CATALOG_USAGE_TS: Final = "a models.ts with export const models = [ … ]"
CATALOG_WRONG: Final = "Mistakes"
CATALOG_NOTED: Final = "Worth knowing"
CATALOG_SUMMARY: Final = "{where}: {models} models, mistakes: {wrong}, remarks: {noted}"
CATALOG_CLAIM: Final = "the text says “{claims}”; mend the number or the text"
CATALOG_NO_ENTRY: Final = "it serves this model, and the catalog has no entry for it; add one"
CATALOG_UNSERVED: Final = "no endpoint serves it; add one, or write available = false"
CATALOG_PICTURE: Final = (
    "there is no such picture in assets/thumbnails (.svg, .png or .webp); a monogram is drawn"
)
CATALOG_SILENT: Final = "its /v1/models can't be had; what it serves is not known"
NO_SUCH_FILE: Final = "The file {path} can't be read; check its path."
GONE: Final = "There is no endpoint called {name} now. Choose another one."
RUNS_ALREADY: Final = "This endpoint is just being checked. Wait until that has ended."
