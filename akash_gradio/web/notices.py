"""What a visitor is told about where the page runs: missing and wrong secrets, a lost store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from akash_gradio.domain.ports import EndpointStatus
from akash_gradio.web import texts
from akash_gradio.web.views import Notice


def host_notices(
    endpoints: Sequence[EndpointStatus],
    secrets: Mapping[str, str],
    *,
    space: bool = False,
    alone: bool = False,
) -> Iterator[Notice]:
    """Most pressing first.

    secrets: alias → the variable that holds its key. space: this is a Space on Hugging Face.
    alone: replicas share their counts, and this one can't reach the store.
    """
    for status in endpoints:
        if status.reason == "key":
            name = secrets.get(status.alias, "ENDPOINTS")
            title = texts.NOTICES["wrong_key"].format(alias=status.alias)
            yield Notice(title=title, body=texts.NOTICES["wrong_key_hint"].format(secret=name))
    if space and not secrets:
        yield Notice(title=texts.NOTICES["duplicate"], body=texts.NOTICES["duplicate_hint"])
    if alone:
        yield Notice(title=texts.NOTICES["alone"], body=texts.NOTICES["alone_hint"], calm=True)
