"""Endpoints with all kinds of faults, on real loopback sockets.

Use `async with StubEndpoint("cuts_in_the_middle") as stub:` in async tests, and
`with StubThread("perfect") as stub:` in synchronous ones. `BEHAVIORS` has every behavior by name.
"""

from tests.stubs import shapes as shapes
from tests.stubs.behavior import BEHAVIORS, Behavior, Ending, get_behavior
from tests.stubs.behaviors import behaviors_with
from tests.stubs.configured import entry, settings_for
from tests.stubs.endpoint import Exchange, RecordedRequest, StubEndpoint
from tests.stubs.thread import StubThread

__all__ = [
    "BEHAVIORS",
    "Behavior",
    "Ending",
    "Exchange",
    "RecordedRequest",
    "StubEndpoint",
    "StubThread",
    "behaviors_with",
    "entry",
    "get_behavior",
    "settings_for",
]
