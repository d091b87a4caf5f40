"""A chat UI, model comparison and LLM gateway for any OpenAI-compatible endpoint or function.

    import akash_gradio as ag

    ag.launch("http://localhost:11434/v1")

The public API is `akash_gradio.python_api`, loaded on first use. Start reading at `app.py`, which
builds every part, then `domain/`, the shared vocabulary, and `gateway/`. The import directions of
the packages are in pyproject.toml.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from akash_gradio.python_api import (
        App,
        ConfigurationError,
        Endpoint,
        Model,
        ModelCard,
        gpu_duration,
        launch,
        model,
        open_gateway,
    )

__version__ = "0.2.0"
__all__ = [
    "App",
    "ConfigurationError",
    "Endpoint",
    "Model",
    "ModelCard",
    "gpu_duration",
    "launch",
    "model",
    "open_gateway",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from akash_gradio import python_api

    return getattr(python_api, name)
