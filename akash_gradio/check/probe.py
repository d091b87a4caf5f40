"""Defines probes, which evaluate responses, and observations, which request them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Protocol

from akash_gradio.check.probe_request import ConnectionResult, ProbeRequest, ProbeResponse
from akash_gradio.check.probe_result import ProbeResult
from akash_gradio.check.target import Target

REQUEST_TIMEOUT_S: Final = 15.0
"""Time limit of one request, in seconds."""


class Level(IntEnum):
    """How much is checked. Each level includes the ones before it."""

    QUICK = 0
    STANDARD = 1
    FULL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What has been observed of the target so far.

    Attributes:
        target: The endpoint being checked.
        model: The model id that requests are sent for.
        results: Observation name to what the observation returned.
    """

    target: Target
    model: str
    results: Mapping[str, Any]

    def response(self, observation: str) -> ProbeResponse:
        """Return the response of an observation that sends one request."""
        response = self.results[observation]
        assert isinstance(response, ProbeResponse)
        return response

    def responses(self, observation: str) -> tuple[ProbeResponse, ...]:
        """Return the responses of an observation that sends any number of requests."""
        responses = self.results[observation]
        assert isinstance(responses, tuple)
        return responses

    def last_response(self, observation: str) -> ProbeResponse:
        """Return the last response of an observation that retries a refused request."""
        return self.responses(observation)[-1]

    @property
    def connection(self) -> ConnectionResult:
        """The result of connecting."""
        result = self.results["connection"]
        assert isinstance(result, ConnectionResult)
        return result


class ProbeContext(Protocol):
    """The operations that an observation may use."""

    @property
    def evidence(self) -> Evidence:
        """What earlier observations returned."""
        ...

    async def connect(self) -> ConnectionResult:
        """Open a connection and close it again."""
        ...

    async def send(
        self,
        request: ProbeRequest,
        *,
        timeout_s: float = REQUEST_TIMEOUT_S,
        stop_when: Callable[[bytes], bool] = lambda _chunk: False,
    ) -> ProbeResponse:
        """Send a request within the endpoint's limits.

        Args:
            request: The request.
            timeout_s: Time limit for the whole response.
            stop_when: Called with each chunk of the body; True stops reading.

        Returns:
            The response as far as it was received.

        Raises:
            TimeoutError: All request slots of an endpoint that also serves chats stayed in use.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Requests whose responses are evaluated, sent once for all probes that use them.

    Attributes:
        name: Key of the result in `Evidence.results`.
        observe: Sends the requests and returns the responses.
        calls: Upper bound of requests.
        tokens_in: Upper bound of prompt tokens.
        tokens_out: Upper bound of completion tokens.
        after: Observations that must be made first.
        exclusive: Whether nothing else may run at the same time.
        timeout_s: Time limit for all of its requests together.
    """

    name: str
    observe: Callable[[ProbeContext], Awaitable[Any]]
    calls: int = 1
    tokens_in: int = 60
    tokens_out: int = 0
    after: tuple[str, ...] = ("stream",)
    exclusive: bool = False
    timeout_s: float = REQUEST_TIMEOUT_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One test of an endpoint.

    Attributes:
        name: Identifier in reports and finding codes.
        level: The lowest level that includes the probe.
        requires: Probes that must not have failed or been skipped.
        observations: Names of the observations it evaluates.
        evaluate: Returns the result.
    """

    name: str
    level: Level = Level.STANDARD
    requires: tuple[str, ...] = ("plain",)
    observations: tuple[str, ...]
    evaluate: Callable[[Evidence], ProbeResult]
