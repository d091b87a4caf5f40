"""Writes what is derived from the settings: `make docs`.

These are `.env.example`, the table of `docs/configuration.md`, and the keyword arguments of the
Python API (`python_api/keywords.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from pathlib import Path
from textwrap import wrap
from types import NoneType
from typing import Any, Final, get_args, get_origin

from pydantic import SecretStr

from akash_gradio.config.keywords import keyword_names
from akash_gradio.config.messages import format_default
from akash_gradio.config.settings import Settings, variables

ROOT: Final = Path(__file__).resolve().parents[2]
ENV_EXAMPLE: Final = ROOT / ".env.example"
PAGE: Final = ROOT / "docs" / "configuration.md"
KEYWORDS: Final = ROOT / "akash_gradio" / "python_api" / "keywords.py"
BEGIN: Final = "<!-- variables: written by `make docs` -->"
END: Final = "<!-- end of variables -->"

SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "Endpoints and models": (
        "ENDPOINTS",
        "API_ENDPOINT",
        "API_KEY",
        "DEFAULT_MODEL",
        "CATALOG_FILE",
        "MODELS_FILE",
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
        "REQUEST_TIMEOUT",
        "DISCOVERY_INTERVAL",
        "HEALTH_PROBE",
    ),
    "Server": (
        "GRADIO_SERVER_NAME",
        "GRADIO_SERVER_PORT",
        "GRADIO_ROOT_PATH",
        "TRUSTED_PROXIES",
        "ALLOWED_HOSTS",
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
        "LONGEST_REQUEST",
        "DEFAULT_MAX_TOKENS",
        "ALLOWED_MODELS",
        "PARAMETER_RANGES",
        "OWN_KEYS",
    ),
    "Storage and replicas": (
        "DATA_DIR",
        "RUN_STORAGE_MB",
        "RUN_RETENTION_DAYS",
        "CACHE_DIR",
        "DATABASE_URL",
        "REDIS_URL",
    ),
    "Hugging Face Spaces": ("HF_TOKEN", "SPACE_ID", "SPACES_ZERO_GPU"),
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


def keywords_module() -> str:
    """Return the module of the Python API that types every setting as a keyword argument."""
    lines = [
        '"""The settings as keyword arguments. Written by `make docs`, see config/docs.py."""',
        "",
        "from __future__ import annotations",
        "",
        "from collections.abc import Mapping, Sequence",
        "from pathlib import Path",
        "from typing import Literal, TypedDict",
        "",
        "",
        "class SettingsKeywords(TypedDict, total=False):",
        '    """Every setting, with the meaning and the default of its environment variable."""',
        "",
    ]
    names = variables()
    for keyword, field in keyword_names().items():
        info = Settings.model_fields[field]
        lines.append(f"    {keyword}: {_keyword_type(info.annotation)}")
        text = f"`{names[field]}`: {info.description or ''}".replace("\\", "\\\\")
        text = text.replace('"', "'")
        body = wrap(text, 93, break_long_words=False, break_on_hyphens=False)
        if len(body) == 1 and len(body[0]) <= 90:
            lines.append(f'    """{body[0]}"""')
        else:
            lines.append(f'    """{body[0]}')
            lines += [f"    {line}" for line in body[1:]]
            lines.append('    """')
    return "\n".join([*lines, ""])


def _keyword_type(annotation: Any) -> str:
    """Return the type of a keyword: what a program writes instead of an environment's text."""
    options = get_args(annotation) if NoneType in get_args(annotation) else (annotation,)
    (kind,) = [option for option in options if option is not NoneType]
    if get_origin(kind) is tuple:
        written = "str | Sequence[str]"
    elif get_origin(kind) is dict:
        written = "Mapping[str, Sequence[float]]"
    elif isinstance(kind, type) and issubclass(kind, Enum):
        values: Iterable[str] = (f'"{member.value}"' for member in kind)
        written = f"Literal[{', '.join(values)}]"
    elif kind is SecretStr:
        written = "str"
    elif kind is Path:
        written = "str | Path"
    else:
        written = str(kind.__name__)
    return f"{written} | None"


def main() -> None:
    """Write the files."""
    KEYWORDS.write_text(keywords_module(), encoding="utf-8")
    ENV_EXAMPLE.write_text(env_example(), encoding="utf-8")
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
