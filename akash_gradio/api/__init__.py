"""The OpenAI-compatible API: `/v1`, and `/healthz` and `/metrics` beside it.

Start reading at `routes.py`. It may import the gateway, the quotas, API keys, the catalog and
http, and nothing of the page.
"""
