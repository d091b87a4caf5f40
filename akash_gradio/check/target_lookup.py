"""What a check aims at: an endpoint of the configuration, or an address."""

from __future__ import annotations

import re

from pydantic import SecretStr, ValidationError

from akash_gradio.catalog.loader import Catalog
from akash_gradio.check import messages
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings


def by_url(
    url: str, key: SecretStr | None, model: str | None, catalog: Catalog, key_name: str = "KEY"
) -> Target:
    """An endpoint by its address alone. Raises ValueError with a sentence, without the key."""
    written = url if "://" in url else f"http://{url}"
    try:
        entry = EndpointSettings.model_validate(
            {"url": written, "apiKey": key, "name": messages.BY_URL}
        )
    except ValidationError as error:
        mend = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise ValueError(mend.removeprefix("Value error, ")) from None
    card = catalog.get(model) if model else None
    name = key_name if re.fullmatch(r"[A-Za-z_]\w*", key_name, re.ASCII) else "KEY"
    return Target(entry=entry, model=model, card=card, written=url, key_name=name)


def configured(entry: EndpointSettings, model: str | None, catalog: Catalog) -> Target:
    """An endpoint of the configuration. model: the catalog's id, None for its first."""
    chosen = model or (entry.models[0] if entry.models else None)
    card = catalog.get(chosen) if chosen else None
    own = entry.model_map.get(chosen, chosen) if chosen else None
    return Target(entry=entry, model=own, card=card)
