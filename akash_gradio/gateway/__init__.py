"""Which endpoint answers, and that somebody does. Knows nothing of Gradio.

Begin at `gateway.py`, which tells the story of one request.
"""

from akash_gradio.gateway.gateway import Gateway, open_gateway

__all__ = ["Gateway", "open_gateway"]
