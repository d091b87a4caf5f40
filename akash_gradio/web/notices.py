"""Builds the notices above the gallery and the chat: problems, progress, rejected keys, outages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from akash_gradio.domain.chat import EMPTY_MAPPING
from akash_gradio.domain.model import Problem
from akash_gradio.domain.ports import EndpointState, EndpointStatus
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.web import texts

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A bar above the gallery and the chat.

    Attributes:
        is_info: Whether it informs instead of warning.
        percent: Progress in percent, None if there is none or it can't be measured.
        indeterminate: Whether there is progress that can't be measured.
    """

    title: str
    body: str = ""
    lines: tuple[str, ...] = ()
    is_info: bool = False
    percent: int | None = None
    indeterminate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSource:
    """Builds the current notices from the state of the app.

    Attributes:
        endpoints: Returns the state of every endpoint.
        problems: Mistakes in the configuration; they contain no secrets.
        late_problems: Returns those that show only while the server runs.
        progress: Returns the progress of the embedded model, None if it doesn't run.
        secrets: The variable that holds an endpoint's key, by the endpoint's alias.
        is_space: Whether this is a Space on Hugging Face.
        is_isolated: Whether replicas share their counts and this one can't reach the store.
    """

    endpoints: Callable[[], tuple[EndpointStatus, ...]]
    problems: tuple[Problem, ...] = ()
    late_problems: Callable[[], tuple[Problem, ...]] = tuple
    progress: Callable[[], Progress | None] = lambda: None
    secrets: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING)
    is_space: bool = False
    is_isolated: Callable[[], bool] = lambda: False

    def current(self) -> tuple[Notice, ...]:
        """Return the notices that apply now, the most important first."""
        endpoints = self.endpoints()
        return (
            *hosting_notices(
                endpoints, self.secrets, is_space=self.is_space, is_isolated=self.is_isolated()
            ),
            *service_notices((*self.problems, *self.late_problems()), endpoints, self.progress()),
        )

    def is_loading(self) -> bool:
        """Return whether the embedded model is still loading."""
        progress = self.progress()
        return progress is not None and progress.stage not in (Stage.READY, Stage.UNAVAILABLE)


def hosting_notices(
    endpoints: Sequence[EndpointStatus],
    secrets: Mapping[str, str],
    *,
    is_space: bool = False,
    is_isolated: bool = False,
) -> Iterator[Notice]:
    """Yield notices about keys and replicas; see `NoticeSource` for the arguments."""
    for status in endpoints:
        if status.reason == "key":
            name = secrets.get(status.alias, "ENDPOINTS")
            title = texts.NOTICES["wrong_key"].format(alias=status.alias)
            yield Notice(title=title, body=texts.NOTICES["wrong_key_hint"].format(secret=name))
    if is_space and not secrets:
        yield Notice(title=texts.NOTICES["duplicate"], body=texts.NOTICES["duplicate_hint"])
    if is_isolated:
        title, hint = texts.NOTICES["isolated"], texts.NOTICES["isolated_hint"]
        yield Notice(title=title, body=hint, is_info=True)


def service_notices(
    problems: Sequence[Problem],
    endpoints: Sequence[EndpointStatus],
    progress: Progress | None,
) -> tuple[Notice, ...]:
    """Return notices about the configuration, the embedded model and the endpoints."""
    notices = [_problem_notice(problems)] if problems else []
    if progress is not None and progress.stage is not Stage.READY:
        notices.append(_progress_notice(progress))
    elif progress is not None:
        notices.append(
            Notice(title=texts.EMBEDDED["note"], body=texts.EMBEDDED["note_more"], is_info=True)
        )
    if not endpoints and progress is None and not problems:
        notices.append(Notice(title=texts.NOTICES["none"], body=texts.NOTICES["none_hint"]))
    down = [status for status in endpoints if status.state is EndpointState.DOWN]
    # `hosting_notices` reports rejected keys.
    rejected = all(status.reason == "key" for status in down)
    if endpoints and len(down) == len(endpoints) and not rejected:
        notices.append(Notice(title=texts.NOTICES["all_down"], body=texts.NOTICES["all_down_hint"]))
    return tuple(notices)


def _problem_notice(problems: Sequence[Problem]) -> Notice:
    title = texts.NOTICES["problems"]
    if len(problems) > 1:
        title = texts.NOTICES["problems_many"].format(count=len(problems))
    return Notice(title=title, lines=tuple(str(problem) for problem in problems))


def _progress_notice(progress: Progress) -> Notice:
    if progress.stage is Stage.UNAVAILABLE:
        reason = texts.EMBEDDED_REASONS.get(progress.reason, texts.EMBEDDED_REASONS["load_failed"])
        can_change_weights = progress.reason not in ("no_wheel", "no_libgomp", "no_avx2")
        more = texts.EMBEDDED["or_off"] if can_change_weights else ""
        return Notice(
            title=texts.EMBEDDED["unavailable"].format(reason=reason),
            body=texts.EMBEDDED["unavailable_hint"].format(more=more),
        )
    title = texts.EMBEDDED[progress.stage].format(
        done=f"{progress.done_bytes / MEGABYTE:.0f}", total=f"{progress.total_bytes / MEGABYTE:.0f}"
    )
    measured = progress.stage is Stage.FETCHING and progress.total_bytes > 0
    percent = min(100, 100 * progress.done_bytes // progress.total_bytes) if measured else None
    body = texts.EMBEDDED["first_time"]
    return Notice(title=title, body=body, is_info=True, percent=percent, indeterminate=not measured)
