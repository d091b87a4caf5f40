"""Loads the endpoints and models of a Python file: `akash-gradio run my_models.py`."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from akash_gradio.python_api.models import ConfigurationError, Endpoint, Model


def load_models_file(path: Path) -> tuple[list[Endpoint | Model], list[Model]]:
    """Run a Python file, and return what it defines.

    Args:
        path: The file. Its folder is put on `sys.path`, so that it can import its neighbors.

    Returns:
        The endpoints and the models with a function, in the order of the file; and the models
        without one.

    Raises:
        ConfigurationError: The file can't be read, or defines neither. An exception that the
            file raises is passed on.
    """
    module = _run(path)
    found = dict.fromkeys(
        id(value) for value in vars(module).values() if isinstance(value, Endpoint | Model)
    )
    by_id = {id(value): value for value in vars(module).values()}
    values = [by_id[key] for key in found]
    endpoints = [v for v in values if isinstance(v, Endpoint) or v.function is not None]
    cards = [v for v in values if isinstance(v, Model) and v.function is None]
    if not endpoints:
        raise ConfigurationError(
            f"{path.name} defines no model; decorate a function with @ag.model, or assign an "
            "ag.Endpoint to a name"
        )
    return endpoints, cards


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise ConfigurationError(f"{path} is not a file; check its path")
    name = f"akash_gradio_models_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ConfigurationError(f"{path} is not a Python file; its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up
    spec.loader.exec_module(module)
    return module
