"""A provider of sign-in as Hugging Face is one, which checks what ours must send."""

from __future__ import annotations

import base64
import hashlib
from functools import partial
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from akash_gradio.auth.http_client import Fetch, fetch

URL = "https://hub.example"
CLIENT_ID, CLIENT_SECRET = "client-1", "secret-planted/+"
METADATA = {
    "issuer": URL,
    "authorization_endpoint": f"{URL}/oauth/authorize",
    "token_endpoint": f"{URL}/oauth/token",
    "userinfo_endpoint": f"{URL}/oauth/userinfo",
}


class FakeHub:
    """Live. account: who gives consent next. instead: what it answers to everything, if anything.

    asked: the paths that were asked of it, by our server.
    """

    def __init__(self) -> None:
        self.account: dict[str, Any] = {"sub": "1", "preferred_username": "Ann", "orgs": []}
        self.asked: list[str] = []
        self.instead: Response | None = None
        self.metadata = dict(METADATA)
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, dict[str, Any]] = {}
        self._app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._told),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/oauth/userinfo", self._userinfo),
                Route("/elsewhere", self._told),
            ]
        )

    @property
    def fetch(self) -> Fetch:
        """The real client, with this in the network's place."""
        return partial(fetch, transport=httpx.ASGITransport(self._app))

    def consent(self, location: str) -> str:
        """A browser comes with this address, and agrees: where it is sent back to."""
        parts = urlsplit(location)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{URL}/oauth/authorize"
        asked = dict(parse_qsl(parts.query, strict_parsing=True))
        assert asked["client_id"] == CLIENT_ID
        assert (asked["response_type"], asked["scope"]) == ("code", "openid profile")
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = asked
        return f"{urlsplit(asked['redirect_uri']).path}?code={code}&state={asked['state']}"

    def redirect_uri(self, code: str = "code-0") -> str:
        """What this code's question named."""
        return self._codes[code]["redirect_uri"]

    def _refuses(self, request: Request) -> Response | None:
        self.asked.append(request.url.path)
        return self.instead

    async def _told(self, request: Request) -> Response:
        return self._refuses(request) or JSONResponse(self.metadata)

    async def _token(self, request: Request) -> Response:
        if refused := self._refuses(request):
            return refused
        scheme, _, packed = request.headers.get("authorization", "").partition(" ")
        pair = base64.b64decode(packed).decode().split(":")
        if scheme != "Basic" or [unquote(part) for part in pair] != [CLIENT_ID, CLIENT_SECRET]:
            return JSONResponse({"error": "invalid_client"}, 401)
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        asked = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        fits = asked is not None and (
            form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == asked["redirect_uri"]
            and base64.urlsafe_b64encode(digest).decode().rstrip("=") == asked["code_challenge"]
        )
        if not fits:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = f"token-planted-{len(self._tokens)}"
        self._tokens[token] = self.account
        return JSONResponse({"access_token": token, "token_type": "bearer"})

    async def _userinfo(self, request: Request) -> Response:
        if refused := self._refuses(request):
            return refused
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            return PlainTextResponse("no", 401)
        return JSONResponse(self._tokens[token])
