"""The `/v1` byte path: forwards an endpoint's bytes to the API client, mostly without parsing them.

Start reading at `sink.py`, the protocol that the bytes flow through, then `reader.py`. The
package also holds the HTTP client, and what relies on aiohttp's internals (`aiohttp_fastpath`).
It may import `domain`, `http` and the modules of `gateway` that parse and encode.
"""
