"""ASGI helpers, body limits, security headers and the server."""
