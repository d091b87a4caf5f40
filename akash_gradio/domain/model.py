"""A model as people see it and as a request needs it; the guide's fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from akash_gradio.domain.chat import EMPTY_MAPPING


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """One catalog entry, or one discovered model without an entry (`discovered`).

    id: what a visitor picks and the endpoint is asked for (`modelMap` aside).
    available: True, False, or None: shown when an endpoint serves it.
    temperature, top_p: the catalog defaults, None when the entry has none.
    token_limit: context window in tokens. parameters: "70B". reasoning, vision: badges.
    context_window_multiplier: what token_limit is multiplied by before a conversation
    is measured against it (models that count tokens otherwise).
    api_compatibility: `openai-v1`, the one dialect spoken.
    custom_headers: sent with each request for this model; secret, kept out of repr.
    max_tokens, seed, stop, presence_penalty, frequency_penalty: catalog defaults as well.
    reasoning_efforts: the efforts that a visitor may choose of, in order; () where it has none.
    prompt_price, completion_price: US dollars per million tokens, None when unknown.
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
        """tokenLimit × contextWindowMultiplier, in tokens."""
        if self.token_limit is None:
            return None
        return int(self.token_limit * self.context_window_multiplier)

    def cost(self, tokens_in: int, tokens_out: int) -> float | None:
        """US dollars for so many tokens; None when the catalog has not both prices."""
        if self.prompt_price is None or self.completion_price is None:
            return None
        return (tokens_in * self.prompt_price + tokens_out * self.completion_price) / 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """A model as an endpoint lists it. token_limit: its context in tokens, None when not said."""

    id: str
    token_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A mistake in what somebody configured, in four facts.

    where: the variable or file and the entry (`ENDPOINTS[2]`, `models.toml: llama-3`).
    field: the field, "" for the whole. value: as written, shortened; never a secret.
    hint: what to write instead, one sentence.
    """

    where: str
    field: str
    value: str
    hint: str

    def __str__(self) -> str:
        name = f"{self.where}, {self.field}" if self.field else self.where
        return f"{name} = {self.value}: {self.hint}" if self.value else f"{name}: {self.hint}"
