"""Reads the catalog file entry by entry, so that an invalid entry doesn't affect the others."""

from __future__ import annotations

import difflib
import inspect
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic.alias_generators import to_camel

from akash_gradio.catalog.model_names import readable_name
from akash_gradio.config.references import missing_variable, parse_reference
from akash_gradio.domain.model import ModelCard, Problem

SHIPPED_CATALOG: Final = "models.toml"
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_RESERVED_HEADERS: Final = frozenset({"connection", "content-length", "host", "transfer-encoding"})
_HF_REPO: Final = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_MAX_VALUE_LENGTH: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalog:
    """The entries in the order of the file, and the problems of the file."""

    cards: tuple[ModelCard, ...] = ()
    problems: tuple[Problem, ...] = ()

    def get(self, model_id: str) -> ModelCard | None:
        """Return the entry with exactly this id, or None."""
        return next((card for card in self.cards if card.id == model_id), None)

    def with_cards(self, cards: Sequence[ModelCard]) -> Catalog:
        """Return a catalog with these entries first; an entry of the same id is replaced."""
        ids = {card.id for card in cards}
        others = (card for card in self.cards if card.id not in ids)
        return Catalog(cards=(*cards, *others), problems=self.problems)


def read_catalog(path: Path | None, environment: Mapping[str, str] | None = None) -> Catalog:
    """Read a catalog. Raises nothing: an invalid entry becomes a problem and is omitted.

    Args:
        path: TOML (`[[models]]`) or JSON (a list, or `{"models": […]}`). For None, or a
            file that can't be read, the shipped catalog is returned.
        environment: Where the `"$NAME"` values of customHeaders are looked up.
    """
    environment = environment or {}
    if path is None:
        return _read_shipped(environment)
    try:
        entries = _entries(_parse(path))
    except _FileError as error:
        hint = f"{error.hint}; until then the shipped catalog is used"
        problem = Problem(where=path.name, field=error.field, hint=hint)
        shipped = _read_shipped(environment)
        return Catalog(cards=shipped.cards, problems=(problem, *shipped.problems))
    return _read_entries(path.name, entries, environment)


class _FileError(ValueError):
    """The whole file can't be used.

    Attributes:
        hint: What to change.
        field: Where in the file, "" if the whole file is concerned.
    """

    def __init__(self, hint: str, field: str = "") -> None:
        super().__init__(hint)
        self.hint, self.field = hint, field


def _read_shipped(environment: Mapping[str, str]) -> Catalog:
    text = (
        resources.files("akash_gradio.catalog")
        .joinpath(SHIPPED_CATALOG)
        .read_text(encoding="utf-8")
    )
    return _read_entries(SHIPPED_CATALOG, _entries(tomllib.loads(text)), environment)


def _parse(path: Path) -> object:
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise _FileError("must be UTF-8 text") from None
    except OSError as error:
        raise _FileError(f"can't be read ({error.strerror}); check its path") from None
    if path.suffix.lower() == ".json" or _looks_like_json(text):
        return _parse_json(text)
    return _parse_toml(text)


def _looks_like_json(text: str) -> bool:
    """Return True for `{`, and for `[` before `{` or `]`. TOML's `[[models]]` is neither."""
    return re.match(r"\s*(\{|\[\s*[{\]])", text) is not None


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _FileError(f"is not valid JSON ({error.msg}); correct that line", place) from None
    except RecursionError:
        raise _FileError("is nested too deeply; put the entries in one list") from None


def _parse_toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = re.search(r"\(at (line \d+, column \d+|end of document)\)", str(error))
        place = match[1] if match else ""
        reason = str(error).split(" (at ")[0]
        raise _FileError(f"is not valid TOML ({reason}); correct that line", place) from None
    except RecursionError:
        raise _FileError("is nested too deeply; write [[models]] entries") from None


def _entries(data: object) -> list[Any]:
    entries = data.get("models") if isinstance(data, dict) else data
    if not isinstance(entries, list):
        raise _FileError('must be [[models]] entries or {"models": […]}', "models")
    return entries


def _read_entries(where: str, entries: list[Any], environment: Mapping[str, str]) -> Catalog:
    cards: dict[str, ModelCard] = {}
    problems: list[Problem] = []
    for number, raw in enumerate(entries, start=1):
        result = _read_entry(_place(where, number, raw), raw, environment)
        if not isinstance(result, ModelCard):
            problems.extend(result)
        elif result.id.casefold() in cards:
            hint = "must be unique; another entry has this id, and the first one is used"
            problems.append(
                Problem(where=f"{where}: entry {number}", field="id", value=result.id, hint=hint)
            )
        else:
            cards[result.id.casefold()] = result
    return Catalog(cards=tuple(cards.values()), problems=tuple(problems))


def _place(where: str, number: int, raw: object) -> str:
    model_id = raw.get("id") if isinstance(raw, dict) else None
    if isinstance(model_id, str) and model_id.strip():
        return f"{where}: {model_id.strip()[:_MAX_VALUE_LENGTH]}"
    return f"{where}: entry {number}"


def _read_entry(
    where: str, raw: object, environment: Mapping[str, str]
) -> ModelCard | list[Problem]:
    if not isinstance(raw, dict):
        hint = 'must be an entry with fields, at least id = "…"'
        return [Problem(where=where, value=type(raw).__name__, hint=hint)]
    fields, written, problems = _known_fields(where, raw)
    problems += _fill_variables(where, fields, environment)
    try:
        entry = _Entry.model_validate(fields)
    except ValidationError as error:
        return problems + _field_problems(where, error, written)
    return problems or _card(entry)


def _known_fields(
    where: str, raw: dict[Any, Any]
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Normalize the spelling of the fields. A JSON null counts as a missing field.

    Returns:
        Field name to value, field name to the spelling in the file, and a problem for each
        unknown or repeated field.
    """
    fields: dict[str, Any] = {}
    written: dict[str, str] = {}
    problems = []
    for key, value in raw.items():
        name = SPELLINGS.get(str(key))
        if name is None:
            problems.append(_unknown_field(where, str(key)))
        elif name in written:
            hint = f"is also set as {written[name]}; remove one of the two"
            problems.append(Problem(where=where, field=str(key), hint=hint))
        elif value is not None:
            fields[name], written[name] = value, str(key)
    return fields, written, problems


def _unknown_field(where: str, key: str) -> Problem:
    # The value isn't shown: it may be an API key in the wrong place.
    by_lower = {spelling.lower(): DOCUMENTED_NAMES[name] for spelling, name in SPELLINGS.items()}
    close = difflib.get_close_matches(key.lower(), by_lower, n=1, cutoff=0.6)
    known = ", ".join(DOCUMENTED_NAMES.values())
    suggestion = f"did you mean {by_lower[close[0]]}?" if close else f"the fields are {known}"
    hint = f"is not a field; {suggestion}"
    return Problem(where=where, field=key[:_MAX_VALUE_LENGTH], hint=hint)


def _fill_variables(
    where: str, fields: dict[str, Any], environment: Mapping[str, str]
) -> list[Problem]:
    """Replace the `"$NAME"` values of customHeaders with the values of the variables."""
    headers = fields.get("custom_headers")
    if not isinstance(headers, dict):
        return []
    filled, problems = dict(headers), []
    for header, value in headers.items():
        name = parse_reference(value)
        if name is not None and environment.get(name):
            filled[header] = environment[name].strip()
        elif name is not None:
            problems.append(missing_variable(where, "customHeaders", name))
    fields["custom_headers"] = filled
    return problems


def _field_problems(
    where: str, error: ValidationError, written: Mapping[str, str]
) -> list[Problem]:
    """Return one problem per field with the field's hint. Values of headers aren't shown."""
    invalid: dict[str, str] = {}
    for item in error.errors(include_url=False, include_context=False):
        name = str(item["loc"][0])
        invalid.setdefault(name, "" if item["type"] == "missing" else repr(item["input"]))
    return [
        Problem(
            where=where,
            field=written.get(name, DOCUMENTED_NAMES[name]),
            value="" if name == "custom_headers" or "@" in shown else shown[:_MAX_VALUE_LENGTH],
            hint=_HINTS[name],
        )
        for name, shown in invalid.items()
    ]


def _card(entry: _Entry) -> ModelCard:
    values = {name: getattr(entry, name) for name in _Entry.model_fields}
    values["name"] = entry.name or readable_name(entry.id)
    values["custom_headers"] = MappingProxyType(
        {name: value.get_secret_value() for name, value in entry.custom_headers.items()}
    )
    return ModelCard(**values)


def _dedented(value: object) -> object:
    return inspect.cleandoc(value) if isinstance(value, str) else value


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError
    return text


def _https(url: str) -> str:
    parts = urlsplit(url)
    clean = url.isprintable() and not re.search(r"\s", url)
    if not clean or parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
        raise ValueError
    return url


def _hf_repo(repo: str) -> str:
    if repo and not _HF_REPO.fullmatch(repo):
        raise ValueError
    return repo


def _headers(headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
    for name, value in headers.items():
        text = value.get_secret_value()
        if not _HEADER_NAME.fullmatch(name) or name.lower() in _RESERVED_HEADERS:
            raise ValueError
        if not text or not (text.isascii() and text.isprintable()):
            raise ValueError
    return headers


def _supported(api: str) -> str:
    if api != "openai-v1":
        raise ValueError
    return api


_Line = Annotated[str, Field(max_length=200), AfterValidator(_one_line)]
_Text = Annotated[str, Field(max_length=20_000), BeforeValidator(_dedented)]
_Stop = Annotated[str, Field(min_length=1, max_length=200)]
_Effort = Annotated[str, Field(pattern=r"^[a-z]{2,20}$")]
_Penalty = Annotated[float, Field(ge=-2, le=2)]
_Price = Annotated[float, Field(ge=0, le=100_000)]


class _Entry(BaseModel):
    """One entry of the file. `ModelCard` documents the fields."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, str_strip_whitespace=True, allow_inf_nan=False
    )

    id: Annotated[_Line, Field(min_length=1)]
    name: _Line = ""
    description: Annotated[_Text, Field(max_length=1000)] = ""
    available: bool | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    token_limit: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    parameters: _Line = ""
    architecture: _Line = ""
    hf_repo: Annotated[str, AfterValidator(_hf_repo)] = ""
    about_content: _Text = ""
    info_content: _Text = ""
    thumbnail_id: _Line = ""
    deploy_url: Annotated[str, AfterValidator(_https)] = ""
    context_window_multiplier: Annotated[float, Field(gt=0, le=100)] = 1.0
    api_compatibility: Annotated[str, AfterValidator(_supported)] = "openai-v1"
    custom_headers: Annotated[dict[str, SecretStr], AfterValidator(_headers)] = Field(
        default_factory=dict
    )
    reasoning: bool = False
    vision: bool = False
    starters: Annotated[tuple[_Line, ...], Field(strict=False, max_length=12)] = ()
    prompt_price: _Price | None = None
    completion_price: _Price | None = None
    max_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stop: Annotated[tuple[_Stop, ...], Field(strict=False, max_length=4)] = ()
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    reasoning_efforts: Annotated[tuple[_Effort, ...], Field(strict=False, max_length=8)] = ()


DOCUMENTED_NAMES: Final = {
    name: name if name in ("top_p", "hf_repo") else to_camel(name) for name in _Entry.model_fields
}
"""Field name to its spelling in `docs/model-integration.md`."""

SPELLINGS: Final = {
    spelling: name for name in DOCUMENTED_NAMES for spelling in (name, to_camel(name))
}
"""Every accepted spelling to its field name."""

_HINTS: Final = {
    "id": 'must be set to the id that requests use, as in "org/model"',
    "name": "must be one line of text; leave it out to derive the name from the id",
    "description": "must be a text of at most 1,000 characters",
    "available": "must be true or false; leave it out to show the model if an endpoint serves it",
    "temperature": "must be a number from 0 to 2",
    "top_p": "must be a number from 0 to 1",
    "token_limit": "must be the context window as a whole number of tokens, as in 32768",
    "parameters": 'must be the size as a text, as in "70B"',
    "architecture": "must be one line of text",
    "hf_repo": 'must be a Hugging Face repository as in "org/name", not a URL',
    "about_content": "must be a text of at most 20,000 characters",
    "info_content": "must be a text of at most 20,000 characters",
    "thumbnail_id": "must be the name of a picture in the thumbnails folder",
    "deploy_url": "must be a URL that starts with https:// and contains no password",
    "context_window_multiplier": "must be a number above 0, as in 1.5",
    "api_compatibility": 'must be "openai-v1", the only supported value, or left out',
    "custom_headers": "must be a table of header names and texts; Host, Connection, "
    "Content-Length and Transfer-Encoding can't be set",
    "reasoning": "must be true or false",
    "vision": "must be true or false",
    "starters": "must be a list of at most 12 lines of text",
    "prompt_price": "must be US dollars per million tokens as a number, as in 0.25",
    "completion_price": "must be US dollars per million tokens as a number, as in 0.25",
    "max_tokens": "must be the maximum answer length as a whole number of tokens, as in 1024",
    "seed": "must be a whole number",
    "stop": "must be a list of at most 4 texts",
    "presence_penalty": "must be a number from -2 to 2",
    "frequency_penalty": "must be a number from -2 to 2",
    "reasoning_efforts": 'must be a list of supported efforts, as in ["low", "medium", "high"]',
}
"""Field name to its hint, which completes "models.toml: id, field = value:"."""
