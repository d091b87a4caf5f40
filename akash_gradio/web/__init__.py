"""The HTTP API of the page: routes, request schemas, views, templates and texts.

Start with `routes.py`, which lists every route, and `deps.py`, which lists what they use. A route
parses a request with `schemas.py`, calls the gateway or the comparison package, and returns a view
(`*_view.py`: values without HTML) or a template. Everything that a visitor reads is in `texts.py`.
Imports neither Gradio nor an HTTP client; `ui` builds the Gradio page from its templates.
"""
