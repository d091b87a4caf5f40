"""Counts the stream events that can be forwarded without being parsed."""

from __future__ import annotations

from akash_gradio.gateway.event_frame import EventFrame


class PlainEvents:
    """Counts plain events: those that add output to the answer and nothing else.

    After the first one only the frame is compared; otherwise the markers of plain events are
    counted. Nothing is parsed: the cost of a read must not grow with its events. (`in` isn't
    used: for bytes it first tries its operand as a number, which raises an error inside.)
    """

    def __init__(self) -> None:
        self._frame = EventFrame()

    def count(self, data: bytes) -> int:
        """Return how many whole plain events the data is; 0 if it contains anything else."""
        if self._frame.text(data) is not None:
            return 1
        events = _count_plain_events(data)
        if events == 1:
            self._frame.learn(data)
        return events


def _count_plain_events(data: bytes) -> int:
    """Count events of one line of JSON each, with choices and a delta.

    They have no error, no NaN or Infinity, no finish reason and no usage; the last two may be
    null, at any position.
    """
    count = data.count
    lines = count(b"\n")
    if not (
        data.startswith(b'data: {"')
        and data.endswith(b"}\n\n")
        and count(b'}\n\ndata: {"') * 2 + 2 == lines
        and (count(b'"choices":[{') * 2 == lines or count(b'"choices": [{') * 2 == lines)
        and (count(b'"delta":{') * 2 == lines or count(b'"delta": {') * 2 == lines)
        and not count(b"\r")
        and not count(b'"error"')
        and not count(b"NaN")
        and not count(b"Infinity")
    ):
        return 0
    finish_reasons, usages = count(b'"finish_reason"'), count(b'"usage"')
    only_output = (
        not finish_reasons
        or finish_reasons == count(b'"finish_reason":null')
        or finish_reasons == count(b'"finish_reason": null')
    ) and (not usages or usages == count(b'"usage":null') or usages == count(b'"usage": null'))
    return lines // 2 if only_output else 0
