"""Endpoints that misbehave, on real loopback sockets.

`async with StubEndpoint("cuts_in_the_middle") as stub:` for async tests,
`with StubThread("perfect") as stub:` for synchronous ones. `zoo.BEHAVIORS` has every behavior.
"""

from tests.stubs.behavior import BEHAVIORS, Animal, Ending, named
from tests.stubs.behaviors import behaviors_with
from tests.stubs.configured import entry, settings_for
from tests.stubs.endpoint import Exchange, Seen, StubEndpoint
from tests.stubs.thread import StubThread

__all__ = [
    "BEHAVIORS",
    "Animal",
    "Ending",
    "Exchange",
    "Seen",
    "StubEndpoint",
    "StubThread",
    "behaviors_with",
    "entry",
    "named",
    "settings_for",
]
