"""Is there a server, does it speak HTTP, and does the API lie where the address says?"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from akash_gradio.check.parsing import fault_before_body
from akash_gradio.check.probe import (
    Checking,
    Judgement,
    Level,
    Observation,
    Probe,
    Seen,
    failed,
    passed,
    warned,
)
from akash_gradio.check.probe_request import Ask, Heard, Reach

SOON_DAYS: Final = 14
BASES: Final = ("/v1", "/api/v1", "/openai/v1", "/api/openai/v1")
NO_ANSWER: Final = frozenset({"silent", "closed", "no_http"})


async def _reach(checking: Checking) -> Reach:
    return await checking.reach()


async def _elsewhere(checking: Checking) -> tuple[Heard, ...]:
    """The lists of models at other bases, where neither chat nor models are at this one."""
    if not _nothing_here(checking.seen):
        return ()
    url = urlsplit(checking.seen.target.entry.url)
    found = []
    for path in BASES:
        base = f"{url.scheme}://{url.netloc}{path}"
        if base != checking.seen.target.entry.url:
            found.append(await checking.send(Ask(path="/models", base=base), deadline_s=5))
    return tuple(found)


def _nothing_here(seen: Seen) -> bool:
    chat, models = seen.all_heard("plain")[-1], seen.heard("models")
    fault = fault_before_body(chat)
    no_chat = _is_page(chat) or (fault is not None and chat.status in (404, 405))
    if fault is not None and fault.code == "model_unknown":
        return False
    return no_chat and (not models.ok or _is_page(models))


def _is_page(heard: Heard) -> bool:
    return heard.body.lstrip()[:1] == b"<"


def _judge_reachable(seen: Seen) -> Judgement:
    reach, host = seen.reach, urlsplit(seen.target.entry.url).netloc
    if reach.proxy:
        return passed(None, "proxy")
    ask = Ask(path="/models")
    if reach.failure:
        return failed(ask, reach.failure, host=host, detail=reach.detail)
    if reach.days_left is not None and reach.days_left < SOON_DAYS:
        return warned(ask, "expires", days=reach.days_left)
    return passed(ask, ms=round(reach.seconds * 1000))


def _judge_answers(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    fault = fault_before_body(heard)
    if fault is not None and heard.status is None and fault.code in NO_ANSWER:
        return failed(heard.ask, fault.code, seconds=f"{heard.seconds:.0f}")
    return passed(heard.ask, status=heard.status)


def _judge_base(seen: Seen) -> Judgement:
    heard = seen.all_heard("plain")[-1]
    fault, url = fault_before_body(heard), seen.target.entry.url
    if fault is not None and fault.code == "redirect":
        return failed(heard.ask, "redirect", status=fault.status, where=_host_of(fault.where))
    if _nothing_here(seen):
        for other in seen.all_heard("elsewhere"):
            if other.ok and not _is_page(other):
                return failed(other.ask, "elsewhere", base=other.ask.base)
        return failed(heard.ask, "website" if _is_page(heard) else "nowhere")
    written = seen.target.written.strip()
    if written and written.rstrip("/") != url:
        return passed(heard.ask, "completed", url=url)
    return passed(heard.ask, url=url)


def _host_of(address: str) -> str:
    """Without path and query, which may hold anything."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "a broken address"
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if host else "another path"


OBSERVATIONS: Final = (
    Observation(name="reach", observe=_reach, calls=0, tokens_in=0, after=(), deadline_s=6),
    Observation(
        name="elsewhere",
        observe=_elsewhere,
        calls=len(BASES) - 1,
        tokens_in=0,
        after=("plain",),
        deadline_s=20,
    ),
)
PROBES: Final = (
    Probe(name="reachable", level=Level.QUICK, needs=(), sees=("reach",), judge=_judge_reachable),
    Probe(
        name="answers",
        level=Level.QUICK,
        needs=("reachable",),
        sees=("plain",),
        judge=_judge_answers,
    ),
    Probe(
        name="base-url",
        level=Level.QUICK,
        needs=("answers",),
        sees=("plain", "models", "elsewhere"),
        judge=_judge_base,
    ),
)
