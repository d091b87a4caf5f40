"""A real nginx on the same machine, with no more configuration than it needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.browser.nginx import NGINX
from tests.browser.servers import free_port
from tests.edge.servers import KINDS, Kind, Server, chat_request, request, running

CONF = """
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
    location {location} {{ proxy_pass http://127.0.0.1:{upstream}/; {lines} }}
  }}
}}
"""


@asynccontextmanager
async def proxied(
    server: Server, folder: Path, location: str = "/", lines: str = ""
) -> AsyncIterator[Server]:
    """Run nginx in front of a server, and return it as a server."""
    port = free_port()
    conf = folder / "nginx.conf"
    conf.write_text(
        CONF.format(folder=folder, port=port, upstream=server.port, location=location, lines=lines)
    )
    command = [NGINX, "-p", str(folder), "-c", str(conf), "-g", "daemon off;"]
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await _wait_for(port)
        yield replace(server, port=port)
    finally:
        process.terminate()
        await process.wait()


async def _wait_for(port: int) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


API_REQUESTS = (
    chat_request(),
    request("GET", "/v1/models"),
    request("GET", "/v1/openapi.json"),
    request("GET", "/metrics"),
)


async def statuses(server: Server, *requests: bytes) -> list[int]:
    return [(await server.send(each, count=1))[0].status for each in requests]


@pytest.mark.parametrize("lines", ["", "proxy_http_version 1.1;"], ids=["default", "http/1.1"])
@pytest.mark.parametrize("kind", KINDS)
async def test_behind_a_token_nothing_is_open_without_it(
    kind: Kind, lines: str, tmp_path: Path
) -> None:
    async with running(kind, ACCESS_TOKEN="let-me-in-9f3") as server:
        async with proxied(server, tmp_path, lines=lines) as nginx:
            assert await statuses(nginx, *API_REQUESTS) == [403] * 4
            if kind == "page":
                pages = [request("GET", path) for path in ("/page/boot", "/page/check")]
                assert await statuses(nginx, *pages) == [401] * 2
        assert not server.stub.chats


@pytest.mark.parametrize("kind", KINDS)
async def test_nginx_is_recognized_even_if_nothing_is_configured(
    kind: Kind, tmp_path: Path
) -> None:
    async with running(kind) as server, proxied(server, tmp_path) as nginx:
        assert await statuses(server, request("GET", "/v1/models")) == [200]
        assert await statuses(nginx, *API_REQUESTS) == [403] * 4


async def test_the_documented_block_serves_the_page_below_a_path(tmp_path: Path) -> None:
    async with (
        running("page", GRADIO_ROOT_PATH="/chat", TRUSTED_PROXIES="1") as server,
        proxied(server, tmp_path, "/chat/") as nginx,
    ):
        for path, status in (
            ("/chat/page/boot", 200),
            ("/chat/page/assets/css/page.css", 200),
            ("/chat/v1/models", 403),
            ("/chat/chat/gradio_api/upload", 404),
        ):
            assert await statuses(nginx, request("GET", path)) == [status], path
