"""A provider of sign-in like Hugging Face, which verifies what the server must send."""

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


class FakeProvider:
    """The provider.

    Attributes:
        account: The account that consents next.
        requested_paths: The paths that the server requested.
        override: The response to every request, None for the regular ones.
        metadata: The discovery document.
    """

    def __init__(self) -> None:
        self.account: dict[str, Any] = {"sub": "1", "preferred_username": "Ann", "orgs": []}
        self.requested_paths: list[str] = []
        self.override: Response | None = None
        self.metadata = dict(METADATA)
        self._codes: dict[str, dict[str, str]] = {}
        self._tokens: dict[str, dict[str, Any]] = {}
        self._app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._discovery),
                Route("/oauth/token", self._token, methods=["POST"]),
                Route("/oauth/userinfo", self._userinfo),
                Route("/elsewhere", self._discovery),
            ]
        )

    @property
    def fetch(self) -> Fetch:
        """The real client, with this provider in place of the network."""
        return partial(fetch, transport=httpx.ASGITransport(self._app))

    def consent(self, location: str) -> str:
        """Consent in a browser that was sent to `location`; return the path it is sent back to."""
        parts = urlsplit(location)
        assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{URL}/oauth/authorize"
        query = dict(parse_qsl(parts.query, strict_parsing=True))
        assert query["client_id"] == CLIENT_ID
        assert (query["response_type"], query["scope"]) == ("code", "openid profile")
        assert query["code_challenge_method"] == "S256"
        code = f"code-{len(self._codes)}"
        self._codes[code] = query
        return f"{urlsplit(query['redirect_uri']).path}?code={code}&state={query['state']}"

    def redirect_uri(self, code: str = "code-0") -> str:
        """Return the redirect URI of the authorization request for this code."""
        return self._codes[code]["redirect_uri"]

    def _record(self, request: Request) -> Response | None:
        self.requested_paths.append(request.url.path)
        return self.override

    async def _discovery(self, request: Request) -> Response:
        return self._record(request) or JSONResponse(self.metadata)

    async def _token(self, request: Request) -> Response:
        if override := self._record(request):
            return override
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        pair = base64.b64decode(encoded).decode().split(":")
        if scheme != "Basic" or [unquote(part) for part in pair] != [CLIENT_ID, CLIENT_SECRET]:
            return JSONResponse({"error": "invalid_client"}, 401)
        form = dict(parse_qsl((await request.body()).decode(), strict_parsing=True))
        query = self._codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        is_valid = query is not None and (
            form["grant_type"] == "authorization_code"
            and form["redirect_uri"] == query["redirect_uri"]
            and base64.urlsafe_b64encode(digest).decode().rstrip("=") == query["code_challenge"]
        )
        if not is_valid:
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = f"token-planted-{len(self._tokens)}"
        self._tokens[token] = self.account
        return JSONResponse({"access_token": token, "token_type": "bearer"})

    async def _userinfo(self, request: Request) -> Response:
        if override := self._record(request):
            return override
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            return PlainTextResponse("no", 401)
        return JSONResponse(self._tokens[token])
