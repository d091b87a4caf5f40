"""Models: an entry of the catalog, and a model as an endpoint lists it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from akash_gradio.domain.chat import EMPTY_MAPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A catalog entry, or a discovered model without one.

    Attributes:
        id: The model's id on the page and in requests; `modelMap` may translate it for an
            endpoint.
        available: Whether it is shown; None shows it when an endpoint serves it.
        temperature: Catalog default, None when the entry has none; likewise `top_p`,
            `max_tokens`, `seed`, `stop`, `presence_penalty` and `frequency_penalty`.
        token_limit: Context window in tokens.
        parameters: Size as text, such as "70B".
        context_window_multiplier: Factor applied to `token_limit` before a conversation is
            measured against it, for models whose tokenizer counts differently.
        api_compatibility: The protocol; `openai-v1` is the only supported value.
        custom_headers: Headers sent with each request for this model; secret, kept out of repr.
        reasoning: Whether the model's tile has the reasoning badge; likewise `vision`.
        reasoning_efforts: The efforts to choose from, in order; empty when it has none.
        prompt_price: US dollars per million tokens, None when unknown; likewise
            `completion_price`.
        discovered: Whether an endpoint lists the model but the catalog has no entry.
    """

    id: str
    name: str
    description: str = ""
    available: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    token_limit: int | None = None
    parameters: str = ""
    architecture: str = ""
    hf_repo: str = ""
    about_content: str = ""
    info_content: str = ""
    thumbnail_id: str = ""
    deploy_url: str = ""
    context_window_multiplier: float = 1.0
    api_compatibility: str = "openai-v1"
    custom_headers: Mapping[str, str] = field(default_factory=lambda: EMPTY_MAPPING, repr=False)
    reasoning: bool = False
    vision: bool = False
    starters: tuple[str, ...] = ()
    prompt_price: float | None = None
    completion_price: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    reasoning_efforts: tuple[str, ...] = ()
    discovered: bool = False

    @property
    def context_tokens(self) -> int | None:
        """Context window in tokens: `token_limit` times `context_window_multiplier`."""
        if self.token_limit is None:
            return None
        return int(self.token_limit * self.context_window_multiplier)

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """Return the price in US dollars, None when the catalog lacks one of the two prices."""
        if self.prompt_price is None or self.completion_price is None:
            return None
        return (tokens_in * self.prompt_price + tokens_out * self.completion_price) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as an endpoint lists it.

    Attributes:
        token_limit: Context window in tokens, None when the endpoint doesn't report it.
    """

    id: str
    token_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A problem in the configuration or the catalog.

    Attributes:
        where: The variable or file, and the entry: `ENDPOINTS[2]`, `models.toml: llama-3`.
        field: The field, "" for the whole entry.
        value: The value as written, shortened, "" to not show it; never a secret.
        hint: What is wrong, or what to write instead. It completes a sentence about the field.
    """

    where: str
    field: str = ""
    value: str = ""
    hint: str

    def __str__(self) -> str:
        name = f"{self.where}, {self.field}" if self.field else self.where
        return f"{name} = {self.value}: {self.hint}" if self.value else f"{name}: {self.hint}"
