"""Server-sent events: decodes bytes into the data of complete events.

Source: WHATWG HTML, 9.2.6, "Interpreting an event stream", with three extensions that real servers
require: the end of the body also ends an event, a field `error:` marks a failed event, a bare line
of JSON counts as data, and so does an object of JSON on the line after another one, where the
empty line between two events is missing.
"""

from __future__ import annotations

from typing import Final

from akash_gradio.domain.size_limits import EVENT_BYTES

_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 10
_CR: Final = 13
_FIELD_BYTES: Final = len(b"data: ")
_FIELDS: Final = frozenset({b"event", b"id", b"retry", b"data", b"error"})


class EventTooLarge(Exception):
    """An event is larger than the decoder accepts.

    Attributes:
        payloads: The complete events before it.
    """

    def __init__(self, payloads: list[bytes]) -> None:
        super().__init__("event too large")
        self.payloads = payloads


class ErrorData(bytes):
    """The data of an event that is marked as an error: `event: error`, or a field `error:`."""

    __slots__ = ()


class SSEDecoder:
    """Decodes a stream incrementally; holds an incomplete line and an incomplete event.

    Args:
        max_event_bytes: Largest event accepted, and longest line.

    Attributes:
        recognized: Whether a field, a comment or an event was received.
    """

    def __init__(self, *, max_event_bytes: int = EVENT_BYTES) -> None:
        self.recognized = False
        self._max_bytes = max_event_bytes + _FIELD_BYTES
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._is_error = False
        self._after_cr = False
        self._at_start = True

    @property
    def at_event_boundary(self) -> bool:
        """Whether it holds no part of an event."""
        held = self._rest or self._data or self._is_error or self._after_cr
        return not held

    def feed(self, data: bytes) -> list[bytes]:
        """Return the data of each event that these bytes complete, its lines joined by LF.

        Raises:
            EventTooLarge: A line or an event exceeds its limit.
        """
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == _LF:
                data = data[1:]
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        if not end:
            # A bytearray grows in amortized constant time: a line cut into single bytes
            # is copied once, not once for each byte.
            self._rest += data
            return self._checked([])
        whole = data[:end]
        if self._rest:
            whole = bytes(self._rest) + whole
            self._rest.clear()
        self._rest += data[end:]
        self._after_cr = data[-1] == _CR
        # bytes.splitlines knows LF, CR and CRLF alone; str.splitlines would cut at U+2028.
        return self._checked(self._take(whole.splitlines()))

    def close(self) -> list[bytes]:
        """Return the data of a last event that no blank line ended.

        Raises:
            EventTooLarge: A line or the event exceeds its limit.
        """
        payloads = self._take([bytes(self._rest)] if self._rest else [])
        self._rest.clear()
        if self._data or self._is_error:
            payloads.append(self._event())
        return payloads

    def _checked(self, payloads: list[bytes]) -> list[bytes]:
        if len(self._rest) > self._max_bytes:
            raise EventTooLarge(payloads)
        return payloads

    def _take(self, lines: list[bytes]) -> list[bytes]:
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        payloads: list[bytes] = []
        for line in lines:
            if len(line) > self._max_bytes:
                raise EventTooLarge(payloads)
            if line[:5] == b"data:":
                self._hold(line[6:] if line[5:6] == b" " else line[5:], payloads)
            elif line:
                self._field(line, payloads)
            elif self._data or self._is_error:
                payloads.append(self._event())
            if self._data_bytes > self._max_bytes:
                raise EventTooLarge(payloads)
        return payloads

    def _hold(self, value: bytes, payloads: list[bytes]) -> None:
        if self._data and value[:1] in (b"{", b"[") and _is_object(self._data[-1]):
            # Between two objects of one value there would be a comma.
            payloads.append(self._event())
        self._data.append(value)
        self._data_bytes += len(value) + 1

    def _field(self, line: bytes, payloads: list[bytes]) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self.recognized = self.recognized or not name or name in _FIELDS
        if name == b"data":
            self._hold(value, payloads)
        elif name == b"event":
            self._is_error = value == b"error"
        elif name == b"error":
            self._is_error = True
            self._hold(value, payloads)
        elif line[:1] == b"{":
            self._hold(line, payloads)

    def _event(self) -> bytes:
        joined = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        if self._is_error:
            joined = ErrorData(joined)
        self._data, self._data_bytes = [], 0
        self._is_error, self.recognized = False, True
        return joined


def _is_object(line: bytes) -> bool:
    return line[:1] == b"{" and line.rstrip().endswith(b"}")
