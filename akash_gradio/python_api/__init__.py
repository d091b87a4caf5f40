"""The public Python API: `import akash_gradio as ag` offers what this package exports.

Start with `application.py` (`App`, `launch`), then `models.py` (`Endpoint`, `Model`, `model`).
Only `cli` may import it.
"""

from akash_gradio.domain.model import ModelCard
from akash_gradio.python_api.application import App, launch, open_gateway
from akash_gradio.python_api.models import ConfigurationError, Endpoint, Model, model
from akash_gradio.python_api.zerogpu import gpu_duration

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
