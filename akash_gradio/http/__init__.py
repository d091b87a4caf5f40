"""What is about HTTP and not about chats: ASGI helpers, body limits, security headers, the server.

Start reading at `asgi.py`; `locality.py` and `origins.py` say where a request comes from. It
may import nothing of the other packages but the settings and the domain.
"""
