"""Upper bounds of what visitors and endpoints may send, each with its reason.

Everything that grows with the bytes of visitors or endpoints has its bound here. The name ends with
the unit: `_BYTES` as received, `_CHARACTERS` of a text.
"""

from __future__ import annotations

from typing import Final

# ── Requests of the page ─────────────────────────────────────────────────────────────────────

CHAT_BODY_BYTES: Final = 16_000_000
"""Body of a request of the page. The whole chat travels with each message, with its pictures: ten
pictures of 1.5 MB fit."""

CHAT_TEXT_CHARACTERS: Final = 4_000_000
"""All texts of one chat request. A context of a million tokens, the longest that is common, has
about four million characters."""

MESSAGE_BYTES: Final = 1_000_000
"""Text of one message in UTF-8. A browser's text field becomes slow with more."""

ATTACHMENTS: Final = 10
"""Files of one message. The composer shows them in one row."""

TURNS: Final = 2_000
"""Turns of a chat. A request of many tiny turns costs more than its bytes."""

SMALL_BODY_BYTES: Final = 65_536
"""Body of a request with a few ids and numbers."""

VOTES_BODY_BYTES: Final = 10_000_000
"""Body with a browser's votes: 20 000 votes have about 6 MB."""

JSON_VALUES: Final = 250_000
"""Values in the JSON of one request. Each becomes an object, which takes up to a hundred times its
bytes. A report of four lanes with 500 answers each has 60 000."""

PARSED_INLINE_BYTES: Final = 50_000
"""A longer body is parsed in a worker: the costliest JSON of this size takes 2 ms."""

# ── Answers of endpoints ─────────────────────────────────────────────────────────────────────

ANSWER_CHARACTERS: Final = 2_000_000
"""Text and reasoning of one answer together. No model writes more than about 260 000 tokens, which
have a million characters; an endpoint that never stops is cut here."""

ANSWER_BYTES: Final = 16 << 20
"""All output of one answer together, with pictures and the arguments of tool calls."""

EVENT_BYTES: Final = 16 << 20
"""One event of a stream, or a whole answer in JSON: pictures and the arguments of tool calls come
in events of several MB."""

# ── Attached files ───────────────────────────────────────────────────────────────────────────

FILE_BYTES: Final = 20_000_000
"""A PDF or a picture. Pictures of cameras have up to 15 MB."""

FILE_PAGES: Final = 500
"""Pages of a PDF that are read; more text than that fits no model's context."""

FILE_TEXT_CHARACTERS: Final = 1_000_000
"""Text of a PDF: as much as a message may have."""

FILE_PIXELS: Final = 36_000_000
"""Pixels of a picture: more than the largest screens have; 150 MB when decoded."""

JPEG_PIXELS: Final = 60_000_000
"""Pixels of a JPEG, which is decoded at a smaller size: more than most cameras produce."""

# ── Waiting work ─────────────────────────────────────────────────────────────────────────────

WAITING_JOBS: Final = 16
"""CPU jobs of one visitor that wait. The page sends at most a few at a time."""

WAITING_BYTES_OF_VISITOR: Final = 40_000_000
"""Their bytes, which stay in memory: two chats of the largest size."""

WAITING_BYTES: Final = 160_000_000
"""Bytes of all waiting jobs of a kind. The process should stay below 600 MB."""

# ── Runs of prompt sets ──────────────────────────────────────────────────────────────────────

SET_BODY_BYTES: Final = 8_000_000
"""Body with a prompt set: `PLAN_BYTES` of text, of which half may be escaped in JSON."""

PLAN_BYTES: Final = 4_000_000
"""All texts of a run, in UTF-8: 10,000 prompts of 400 characters. Open runs have them in memory;
`akash-gradio compare` has no such limit."""

# ── Rendering ────────────────────────────────────────────────────────────────────────────────

RENDERED_TEXTS: Final = 200
"""Texts of one request to render. The page asks for the turns that it shows, at most 60."""

RENDERED_CHARACTERS: Final = 4_000_000
"""All texts of one request to render. The page sends several requests for more."""

FORMATTED_COST_CHARACTERS: Final = 1_000_000
"""Cost of the text that one request formats, in characters of prose; a line adds 60. More is shown
as plain text. An answer of 100 000 tokens in 10 000 lines costs as much."""

OPEN_BLOCK_COST_CHARACTERS: Final = 40_000
"""Cost of a block that is still growing. What follows is shown as plain text until the answer is
complete, because rendering a block costs its whole length each time. A list of 300 items costs as
much."""

# ── Bodies of requests that are being read ───────────────────────────────────────────────────

BODIES_BYTES: Final = 128_000_000
"""All bodies that are in memory at once. Eight of the longest chats fit, and memory stays below the
600 MB of docs/deployment.md when they are parsed."""

UNCOUNTED_BODY_BYTES: Final = 64_000
"""A complete body up to this size isn't counted: a message without a long history."""

BODY_PACE_S: Final = 20.0
"""Seconds within which `BODY_PACE_BYTES` of an unfinished body must arrive."""

BODY_PACE_BYTES: Final = 20_000
"""1 kB/s: a tenth of the slowest mobile connections (GPRS and EDGE have 10 to 30 kB/s)."""
