"""The `/v1` byte path: forwards an endpoint's bytes to the API client, mostly without parsing them.

Start reading at `sink.py`, the protocol that the bytes flow through, then `reader.py`. The
package also holds everything that relies on the internals of aiohttp and uvicorn:
`aiohttp_fastpath` below `transport`, and `uvicorn_protocol`. It may import `domain`, `http`
and the modules of `gateway` that parse and encode.
"""
