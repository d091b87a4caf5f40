"""The variables for a page that strangers reach: a part of `settings.Settings`.

All of them are off or harmless by default: on one's own computer nothing is to be noticed.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, field_validator
from pydantic_settings import BaseSettings, NoDecode


def variable(name: str, default: Any, says: str, *also: str, **limits: Any) -> Any:
    """A field that one environment variable sets. also: further names of it."""
    alias = AliasChoices(name, *also) if also else name
    return Field(default, validation_alias=alias, description=says, **limits)


class HostSettings(BaseSettings):
    """Who may come, from where, and how much they may use."""

    allowed_origins: Annotated[tuple[str, ...], NoDecode] = variable(
        "ALLOWED_ORIGINS",
        (),
        "Other sites whose pages may ask here, a comma list of `https://host`; for a proxy that "
        "changes `Host`, the page's own address.",
    )
    frame_ancestors: Annotated[tuple[str, ...], NoDecode] = variable(
        "FRAME_ANCESTORS",
        ("https://huggingface.co",),
        "Sites that may show the page in a frame, a comma list of `https://host`.",
    )

    @field_validator("allowed_origins", "frame_ancestors", mode="before")
    @classmethod
    def _origins(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = tuple(part.strip().rstrip("/").lower() for part in value.split(",") if part.strip())
        if not all(_is_origin(origin) for origin in found):
            raise ValueError("write each as https://host, without a path")
        return found


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    plain = text.isascii() and not set(text) & set(" ;'\"")
    return (
        plain and parts.scheme in ("http", "https") and text == f"{parts.scheme}://{parts.netloc}"
    )
