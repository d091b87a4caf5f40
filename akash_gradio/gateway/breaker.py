"""The circuit breaker, and the statistics of recent requests that open it.

An endpoint has one breaker for itself (connection, key) and one for each of its models.

closed ── 3 requests in a row found it down, or a failure that opens it at once, or many more
          failures than its peers ──> open
open ── its pause is over (5 s, doubled up to 5 min where another endpoint serves) ──> half-open
half-open ── the probe's first token ──> closed      ── the probe failed ──> open

A breaker only says whether an endpoint is preferred. `selection` ignores breakers when too few
endpoints are left.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

MAX_DOWN_IN_A_ROW: Final = 3
FIRST_PAUSE_S: Final = 5.0
MAX_PAUSE_S: Final = 300.0
KEPT_SHARE: Final = 0.98
"""What remains of the weight of earlier requests with each request: about the last 50 count."""
MIN_FAILURES: Final = 2.5
"""Weight of the failures below which an endpoint is never an outlier: three recent ones."""
MIN_DIFFERENCE: Final = 0.2
"""How much larger than its peers' an outlier's share of failures is at least."""
DEVIATIONS: Final = 3.0
"""By how many standard deviations an outlier differs from its peers. Source: Envoy's outlier
detection by success rate, whose default is 1.9, but which looks at 100 requests at least."""
STEADY_REQUESTS: Final = 10.0
"""Weight of the requests after which a model that was an outlier counts as recovered."""


class Outcomes:
    """The outcomes of the recent requests of a model at an endpoint; older ones weigh less."""

    __slots__ = ("failures", "requests")

    def __init__(self) -> None:
        self.requests = self.failures = 0.0

    @property
    def failure_share(self) -> float:
        """The share of failures, 0 without requests."""
        return self.failures / self.requests if self.requests else 0.0

    def add(self, *, failed: bool) -> None:
        """Count a request."""
        self.requests = self.requests * KEPT_SHARE + 1
        self.failures = self.failures * KEPT_SHARE + failed

    def fail_last(self) -> None:
        """Count the request that was counted as successful as a failure: it was interrupted."""
        self.failures = min(self.requests, self.failures + 1)

    def clear(self) -> None:
        """Forget everything."""
        self.requests = self.failures = 0.0


def is_outlier(own: Outcomes, peers: Iterable[Outcomes]) -> bool:
    """Return whether an endpoint fails significantly more often than its peers.

    It is a test of two proportions: the difference is compared with its standard deviation if
    both had the same probability of failure. So endpoints that all fail at random are no
    outliers, however often they fail.

    Args:
        own: The outcomes of the endpoint.
        peers: Those of the endpoints that could take its requests. Without any requests of theirs
            it is no outlier.
    """
    if own.failures < MIN_FAILURES:
        return False
    requests = failures = 0.0
    for peer in peers:
        requests += peer.requests
        failures += peer.failures
    if not requests:
        return False
    difference = own.failure_share - failures / requests
    if difference < MIN_DIFFERENCE:
        return False
    pooled = (own.failures + failures) / (own.requests + requests)
    variance = pooled * (1 - pooled) * (1 / own.requests + 1 / requests)
    return difference >= DEVIATIONS * math.sqrt(variance)


class Breaker:
    """One circuit breaker. `now` is a monotonic clock, in seconds.

    Attributes:
        opened_at: When it opened; it stays the same while probes fail. None while it is closed.
    """

    __slots__ = (
        "_alone_until",
        "_down_in_a_row",
        "_open_until",
        "_pause_s",
        "_probing",
        "opened_at",
    )

    def __init__(self) -> None:
        self.opened_at: float | None = None
        self._open_until = self._alone_until = 0.0
        self._probing = False
        self._down_in_a_row = 0
        self._pause_s = FIRST_PAUSE_S

    @property
    def open(self) -> bool:
        """Whether it is open or half-open."""
        return self.opened_at is not None

    def ready(self, now: float, *, alone: bool = False) -> bool:
        """Return whether a request may be sent now, perhaps as a probe.

        Args:
            alone: Whether no other endpoint serves the model: then no pause is longer than 5 s.
        """
        if self.opened_at is None:
            return True
        return now >= (self._alone_until if alone else self._open_until) and not self._probing

    def begin(self) -> bool:
        """Count a request that is sent now.

        Returns:
            Whether it is a probe. Pass this value to the methods that record its outcome.
        """
        if self.opened_at is None:
            return False
        self._probing = True
        return True

    def end(self) -> None:
        """Record the end of a probe, whatever its outcome; the next request may be one."""
        self._probing = False

    def alive(self, probe: bool) -> bool:
        """Record a first token, or another response that shows that it isn't down.

        Returns:
            Whether this closed it.
        """
        self._down_in_a_row = 0
        if not probe or self.opened_at is None:
            return False
        self.opened_at = None
        return True

    def succeeded(self) -> None:
        """Record a complete answer. While it is open, only a probe's first token counts."""
        if self.opened_at is None:
            self._pause_s = FIRST_PAUSE_S

    def found_down(
        self,
        now: float,
        probe: bool,
        *,
        at_once: bool = False,
        pause_s: float | None = None,
        others: bool = True,
    ) -> None:
        """Record a request that found it down.

        Args:
            at_once: Open without counting to three.
            pause_s: How long to stay open; None for the usual pause.
            others: Whether another endpoint serves, so that the pause may grow.
        """
        self._down_in_a_row += 1
        if self.opened_at is not None:
            self.failed_probe(now, probe, pause_s=pause_s, others=others)
        elif at_once or self._down_in_a_row >= MAX_DOWN_IN_A_ROW:
            self.trip(now, pause_s=pause_s, others=others)

    def failed_probe(
        self, now: float, probe: bool, *, pause_s: float | None = None, others: bool = True
    ) -> None:
        """Record the failure of a probe. One that was sent during the pause doesn't prolong it."""
        if probe and self.opened_at is not None and now >= min(self._open_until, self._alone_until):
            self.trip(now, pause_s=pause_s, others=others)

    def trip(self, now: float, *, pause_s: float | None = None, others: bool = True) -> None:
        """Open it. Each pause is twice the one before where another endpoint serves."""
        if pause_s is None:
            pause_s = self._pause_s if others else FIRST_PAUSE_S
            if others:
                self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2)
        if self.opened_at is None:
            self.opened_at = now
        self._open_until = now + pause_s
        self._alone_until = now + min(pause_s, FIRST_PAUSE_S)
        self._probing = False
        self._down_in_a_row = 0
