"""Endpoints that misbehave, on real loopback sockets.

`async with StubEndpoint("cuts_in_the_middle") as stub:` for async tests,
`with StubThread("perfect") as stub:` for synchronous ones. `zoo.ZOO` has every behavior.
"""

from tests.stubs.animal import ZOO, Animal, Ends, named
from tests.stubs.configured import entry, settings_for
from tests.stubs.endpoint import Exchange, Seen, StubEndpoint
from tests.stubs.thread import StubThread
from tests.stubs.zoo import that

__all__ = [
    "ZOO",
    "Animal",
    "Ends",
    "Exchange",
    "Seen",
    "StubEndpoint",
    "StubThread",
    "entry",
    "named",
    "settings_for",
    "that",
]
