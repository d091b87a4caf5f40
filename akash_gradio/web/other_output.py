"""Shows output that isn't text: tool calls as blocks of code, pictures as a sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from akash_gradio.domain.events import MediaDelta, ToolCallDelta
from akash_gradio.web import texts


@dataclass(slots=True)
class _ToolCall:
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class OtherOutput:
    """Collects the output of one answer that isn't text."""

    def __init__(self) -> None:
        self._calls: dict[int, _ToolCall] = {}
        self._media: dict[str, None] = {}

    def add(self, event: ToolCallDelta | MediaDelta) -> None:
        """Add an event."""
        if isinstance(event, MediaDelta):
            self._media[event.kind] = None
            return
        call = self._calls.setdefault(event.index, _ToolCall())
        call.name = call.name or event.name
        call.arguments.append(event.arguments)

    def markdown(self) -> str:
        """Return it as markdown, "" if there is none."""
        sentences = [texts.MEDIA[kind] for kind in self._media if kind in texts.MEDIA]
        return "\n\n".join([*map(_block, self._calls.values()), *sentences])


def _block(call: _ToolCall) -> str:
    arguments = "".join(call.arguments)
    longest = max(map(len, re.findall("`+", arguments)), default=0)
    fence = "`" * max(3, longest + 1)
    name = " ".join(call.name.replace("`", "'").split())
    title = texts.TOOL_CALL.format(name=f"`{name}`") if name else texts.NAMELESS_TOOL_CALL
    return f"{title}\n\n{fence}json\n{arguments}\n{fence}"
