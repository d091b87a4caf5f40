"""Exit statuses of the commands, and the terminal's texts for errors, keyed by their codes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from akash_gradio.domain.errors import UserError

EXIT_FAILED: Final = 1
"""The command was executed and found failures or errors."""
EXIT_USAGE: Final = 2
"""The command couldn't be executed as it was written. argparse uses the same status."""


class CommandError(UserError):
    """The command can't be executed as it was written. The code is a key of MESSAGES."""

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code, facts)


MESSAGES: Final[Mapping[str, str]] = {
    "model_not_served": "No endpoint serves the model {model!r}. Available models: {available}.",
    "endpoint_not_found": "There is no endpoint {endpoint!r}. Available endpoints: {available}.",
    "too_many_calls": "That makes {calls:,} calls; a run can have at most {limit:,}.",
    "lane_count": "That makes {lanes} lanes; a run can have 1 to {limit}.",
    "report_format": "{path}: the name of a report must end in .html, .md, .csv or .json.",
    "folder_not_found": "{path}: there is no such folder.",
    "file_not_read": "{path}: {reason}.",
    "invalid_check": "--check {text}: {problem}.",
    "invalid_lane": "--lane {text}: {problem}.",
    "other_run": "{path} belongs to another run. Choose another --out, or add --again to replace "
    "it.",
    "invalid_prompt_set": "The prompt set can't be used:\n{detail}",
    "run_not_found": "{file}: there is no such file.",
    "run_not_saved": "{file} can't be used ({reason}).",
    "run_not_saved.busy": "{file} is in use by another run.",
    "run_not_saved.not_a_run": "{file} is not the file of a run.",
    "check_address_invalid": "The address can't be checked. {reason}",
    "key_without_address": "--key-env requires an address. The keys of configured endpoints are "
    "in ENDPOINTS.",
    "key_variable_unset": "The environment variable {name} (--key-env) is not set.",
    "no_endpoints": "No endpoint is configured. Pass an address to check, or set ENDPOINTS (or "
    "API_ENDPOINT and API_KEY).",
    "votes_unavailable": "The votes are omitted: {store} is not available ({reason}).",
}


def error_message(error: UserError) -> str:
    """Return the text of an error. `code.reason` takes precedence over `code`."""
    specific = MESSAGES.get(f"{error.code}.{error.facts.get('reason')}")
    return (specific or MESSAGES[error.code]).format_map(error.facts)
