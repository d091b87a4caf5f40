"""Python functions as endpoints of the gateway.

Start with `function.py`, which inspects a function, and `transport.py`, which calls it and sends
what it yields as an OpenAI-compatible response, so that every reader, receipt and route works as
it does for HTTP. `adapters.py` makes functions of other libraries' objects. It may import what
`gateway` may.
"""

from akash_gradio.gateway.callables.endpoint import FunctionEndpoint
from akash_gradio.gateway.callables.function import ModelFunction, UnusableFunction
from akash_gradio.gateway.callables.transport import FunctionTransport

__all__ = ["FunctionEndpoint", "FunctionTransport", "ModelFunction", "UnusableFunction"]
