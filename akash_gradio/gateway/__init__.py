"""Which endpoint answers, and that somebody does. Knows nothing of Gradio.

Begin at `gateway.py`, which tells the story of one request.
"""

from akash_gradio.gateway.gateway import Gateway, PassthroughItem, open_gateway
from akash_gradio.gateway.passthrough.request import PassthroughRequest

__all__ = ["Gateway", "PassthroughItem", "PassthroughRequest", "open_gateway"]
