"""Server-sent events: bytes in, the data of whole events out.

Source: WHATWG HTML, 9.2.6, "Interpreting an event stream", with three liberties that
real servers ask for: the end of the body ends an event too, a field `error:` is an
event that failed, and a bare line of JSON counts as data.
"""

from __future__ import annotations

from typing import Final

LINE_BYTES: Final = 1 << 20
EVENT_BYTES: Final = 16 << 20

_BOM: Final = b"\xef\xbb\xbf"
_LF: Final = 10
_CR: Final = 13
_FIELDS: Final = frozenset({b"event", b"id", b"retry", b"data", b"error"})


class EventTooLarge(Exception):
    """More than the decoder will hold. payloads: the whole events that came before it."""

    def __init__(self, payloads: list[bytes]) -> None:
        super().__init__("an event past the limit")
        self.payloads = payloads


class ErrorData(bytes):
    """The data of an event that calls itself an error: `event: error`, or a field `error:`."""

    __slots__ = ()


class SSEDecoder:
    """The live state between two reads: an unfinished line and an unfinished event.

    line_bytes, event_bytes: the longest line, and the most data in one event.
    understood: False while nothing that came was a field, a comment or an event.
    """

    def __init__(self, *, line_bytes: int = LINE_BYTES, event_bytes: int = EVENT_BYTES) -> None:
        self.understood = False
        self._line_bytes, self._event_bytes = line_bytes, event_bytes
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
        """The data of each event that these bytes complete; lines of one joined by LF.

        Raises EventTooLarge.
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
        """The data of a last event that no blank line ended. Raises EventTooLarge."""
        payloads = self._take([bytes(self._rest)] if self._rest else [])
        self._rest.clear()
        if self._data or self._is_error:
            payloads.append(self._event())
        return payloads

    def _checked(self, payloads: list[bytes]) -> list[bytes]:
        if len(self._rest) > self._line_bytes:
            raise EventTooLarge(payloads)
        return payloads

    def _take(self, lines: list[bytes]) -> list[bytes]:
        if self._at_start and lines:
            self._at_start = False
            lines[0] = lines[0].removeprefix(_BOM)
        payloads: list[bytes] = []
        for line in lines:
            if len(line) > self._line_bytes:
                raise EventTooLarge(payloads)
            if line[:5] == b"data:":
                self._hold(line[6:] if line[5:6] == b" " else line[5:])
            elif line:
                self._field(line)
            elif self._data or self._is_error:
                payloads.append(self._event())
            if self._data_bytes > self._event_bytes:
                raise EventTooLarge(payloads)
        return payloads

    def _hold(self, value: bytes) -> None:
        self._data.append(value)
        self._data_bytes += len(value) + 1

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        self.understood = self.understood or not name or name in _FIELDS
        if name == b"data":
            self._hold(value)
        elif name == b"event":
            self._is_error = value == b"error"
        elif name == b"error":
            self._is_error = True
            self._hold(value)
        elif line[:1] == b"{":
            self._hold(line)

    def _event(self) -> bytes:
        joined = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        if self._is_error:
            joined = ErrorData(joined)
        self._data, self._data_bytes = [], 0
        self._is_error, self.understood = False, True
        return joined
