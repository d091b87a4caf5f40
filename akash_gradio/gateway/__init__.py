"""Routes chat requests to OpenAI-compatible endpoints, with failover, retries and receipts.

Start reading at `gateway.py`, the life of one request; `passthrough/` is the path of `/v1`.
It may import `catalog`, `config`, `domain`, `files`, `http` and `markdown`, and never Gradio.
"""

from akash_gradio.gateway.gateway import Gateway, open_gateway
from akash_gradio.gateway.passthrough.request import PassthroughItem, PassthroughRequest

__all__ = ["Gateway", "PassthroughItem", "PassthroughRequest", "open_gateway"]
