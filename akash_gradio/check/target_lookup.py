"""Builds the target of a check from an address or from a configured endpoint."""

from __future__ import annotations

import re

from pydantic import SecretStr, ValidationError

from akash_gradio.catalog.loader import Catalog
from akash_gradio.check import messages
from akash_gradio.check.target import Target
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.domain.errors import UserError


class CheckError(UserError):
    """A check can't start. The texts of its codes are in `web/texts.py` and `cli/errors.py`."""


def target_of_address(
    address: str, key: SecretStr | None, model: str | None, catalog: Catalog, key_name: str = "KEY"
) -> Target:
    """Build a target from an address alone.

    Args:
        address: The base URL in any of the supported forms, with or without a scheme.
        key: The endpoint's API key.
        model: The endpoint's own id of the model, or None for the first listed model.
        catalog: Where the model's entry is looked up.
        key_name: Environment variable that stands for the key in printed commands.

    Raises:
        CheckError: The address can't be used. The error doesn't contain the key.
    """
    url = address if "://" in address else f"http://{address}"
    try:
        entry = EndpointSettings.model_validate(
            {"url": url, "apiKey": key, "name": messages.UNNAMED_ENDPOINT}
        )
    except ValidationError as error:
        hint = error.errors(include_url=False, include_input=False)[0]["msg"]
        hint = hint.removeprefix("Value error, ")
        reason = f"The URL {hint}."
        raise CheckError("check_address_invalid", {"reason": reason}, 422) from None
    card = catalog.get(model) if model else None
    name = key_name if re.fullmatch(r"[A-Za-z_]\w*", key_name, re.ASCII) else "KEY"
    return Target(entry=entry, model=model, card=card, address=address, key_name=name)


def target_of_endpoint(entry: EndpointSettings, model: str | None, catalog: Catalog) -> Target:
    """Build a target from a configured endpoint.

    Args:
        entry: The endpoint's settings.
        model: The model's catalog id, or None for the first configured model.
        catalog: Where the model's entry is looked up.
    """
    model_id = model or (entry.models[0] if entry.models else None)
    card = catalog.get(model_id) if model_id else None
    endpoint_model = entry.model_map.get(model_id, model_id) if model_id else None
    return Target(entry=entry, model=endpoint_model, card=card)
