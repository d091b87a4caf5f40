"""Writes `.env.example` and the table of `docs/configuration.md` from the settings: `make docs`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from akash_gradio.config.messages import format_default
from akash_gradio.config.settings import Settings, variables

ROOT: Final = Path(__file__).resolve().parents[2]
ENV_EXAMPLE: Final = ROOT / ".env.example"
PAGE: Final = ROOT / "docs" / "configuration.md"
BEGIN: Final = "<!-- variables: written by `make docs` -->"
END: Final = "<!-- end of variables -->"

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Endpoints and models": (
        "ENDPOINTS",
        "API_ENDPOINT",
        "API_KEY",
        "DEFAULT_MODEL",
        "CATALOG_FILE",
        "EMBEDDED",
        "EMBEDDED_MODEL",
    ),
    "Routing, retries and timeouts": (
        "ROUTING",
        "RETRY_ATTEMPTS",
        "RETRY_DELAY",
        "FALLBACK_MODEL",
        "CONNECT_TIMEOUT",
        "FIRST_TOKEN_TIMEOUT",
        "IDLE_TIMEOUT",
        "DISCOVERY_INTERVAL",
        "HEALTH_PROBE",
    ),
    "Server": (
        "GRADIO_SERVER_NAME",
        "GRADIO_SERVER_PORT",
        "GRADIO_ROOT_PATH",
        "TRUSTED_PROXIES",
        "ALLOWED_ORIGINS",
        "FRAME_ANCESTORS",
        "DEBUG",
    ),
    "API keys for /v1": ("GATEWAY_API_KEYS", "PROXY_API_KEY"),
    "Signing in": (
        "ACCESS_TOKEN",
        "ADMIN_PASSWORD",
        "SIGN_IN",
        "ALLOWED_USERS",
        "ALLOWED_ORGS",
        "SESSION_SECRET",
        "OAUTH_CLIENT_ID",
        "OAUTH_CLIENT_SECRET",
        "OPENID_PROVIDER_URL",
        "SPACE_HOST",
    ),
    "Limits for visitors": (
        "VISITOR_MESSAGES_PER_MINUTE",
        "VISITOR_TOKENS_PER_DAY",
        "TOKENS_PER_DAY",
        "COST_PER_DAY",
        "REQUESTS_AT_ONCE",
        "QUEUE_LENGTH",
        "LONGEST_MESSAGE",
        "ALLOWED_MODELS",
        "PARAMETER_RANGES",
        "OWN_KEYS",
    ),
    "Storage and replicas": ("DATA_DIR", "CACHE_DIR", "DATABASE_URL", "REDIS_URL"),
    "Hugging Face Spaces": ("HF_TOKEN", "SPACE_ID"),
}
"""The order of the documentation. Every variable is in exactly one section."""


def env_example() -> str:
    """Return the text of `.env.example`: every variable with its description, none of them set."""
    lines = ["# Copy to .env and set what you need. Written by `make docs`.", ""]
    for title, names in SECTIONS.items():
        lines += [f"# ── {title} ──", ""]
        for name, default, description in _rows(names):
            lines += [f"# {description.replace('`', '')}", f"# {name}={default}", ""]
    return "\n".join(lines)


def variables_table() -> str:
    """Return a table for each section, between the two marks of `docs/configuration.md`."""
    lines = [BEGIN]
    for title, names in SECTIONS.items():
        lines += ["", f"### {title}", ""]
        lines += ["| Variable | Description | Default |", "| --- | --- | --- |"]
        for name, default, description in _rows(names):
            linked = re.sub(r"docs/([\w-]+\.md)", r"[\1](\1)", description)
            escaped = linked.replace("|", "\\|")
            lines.append(f"| `{name}` | {escaped} | {f'`{default}`' if default else ''} |")
    return "\n".join([*lines, "", END])


def with_table(page: str) -> str:
    """Return the page with the table between its marks brought up to date.

    Raises:
        ValueError: A mark is missing.
    """
    head, _, rest = page.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE.name} lacks {BEGIN} or {END}")
    return head + variables_table() + tail


def _rows(names: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    fields = {name: Settings.model_fields[field] for field, name in variables().items()}
    for name in names:
        yield name, format_default(fields[name].default), fields[name].description or ""


def main() -> None:
    """Write both files."""
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
