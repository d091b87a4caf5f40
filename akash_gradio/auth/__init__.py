"""Who sends a request: API keys, sessions, sign-in and the cookies that identify visitors.

Start reading at `session.py` for the page and at `api_keys.py` for `/v1`. It may import the
rate limiter, http, the settings and the domain, and knows nothing of the page's texts.
"""
