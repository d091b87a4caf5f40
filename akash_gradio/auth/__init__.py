"""Who sends a request: API keys, sessions, sign-in and the cookies that identify visitors.

Start reading at `session.py` for the page and at `api_keys.py` for `/v1`. It may import
`quota`, `http`, `config` and `domain`, and contains no text of the page.
"""
