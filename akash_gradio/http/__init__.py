"""HTTP without anything about chats: ASGI helpers, body limits, security headers, the server.

Start reading at `asgi.py`; `locality.py` and `origins.py` determine where a request comes from.
It may import only `config` and `domain`.
"""
