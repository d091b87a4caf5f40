"""Which endpoint answers, and that somebody does. Knows nothing of Gradio.

Begin at `gateway.py`, which tells the story of one request.
"""

from akash_gradio.gateway.gateway import Gateway, Relayed, open_gateway
from akash_gradio.gateway.passthrough.request import RelayRequest

__all__ = ["Gateway", "RelayRequest", "Relayed", "open_gateway"]
