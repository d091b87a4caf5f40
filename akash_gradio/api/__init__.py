"""The OpenAI-compatible face: `/v1`, and `/healthz` and `/metrics` beside it.

Begin at `routes.py`. It knows the gateway and the catalog, and nothing of the page.
"""
