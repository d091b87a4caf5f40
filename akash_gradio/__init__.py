"""A chat UI, model comparison and LLM gateway for any OpenAI-compatible endpoint.

Start reading at `app.py`, which builds every part, then `domain/`, the shared vocabulary, and
`gateway/`. The import directions of the packages are in pyproject.toml.
"""

__version__ = "0.2.0"
