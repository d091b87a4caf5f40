"""Hugging Face as the provider of sign-in: OpenID Connect, its authorization code flow.

The account is asked from the provider itself, over TLS and with the token just given; no ID
token is read, so no signature needs checking. Source: OpenID Connect Core 1.0, 3.1 and 5.3.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Final, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, Field, ValidationError

from akash_gradio.auth.http_client import Fetch

DISCOVERY: Final = "/.well-known/openid-configuration"
NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class SignInFault(Exception):
    """It came to nothing. kind: a key of `words.SIGN_IN`, which says whose fault it is."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Addresses(BaseModel):
    """Where the provider is asked for what, as it says itself."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str


class _Token(BaseModel):
    access_token: Annotated[str, Field(pattern=r"^[!-~]{1,5000}$", repr=False)]


class _Refusal(BaseModel):
    error: str


class _Org(BaseModel):
    preferred_username: str = ""


class Account(BaseModel):
    """Who signed in. orgs: the organizations that the provider named for them."""

    preferred_username: Annotated[str, Field(pattern=NAME)]
    orgs: tuple[_Org, ...] | None = None

    @property
    def org_names(self) -> frozenset[str]:
        """In lower case; one without a name is nobody's."""
        return frozenset(org.preferred_username.lower() for org in self.orgs or ()) - {""}


Known = TypeVar("Known", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Us, as the provider knows us. secret: "" for an app without one."""

    id: str
    secret: str = field(default="", repr=False)


class Provider:
    """Live: remembers its addresses. url: the issuer, without a slash behind it."""

    def __init__(self, url: str, client: Client, fetch: Fetch) -> None:
        self._url, self.client, self._fetch = url, client, fetch
        self._addresses: Addresses | None = None

    async def addresses(self) -> Addresses:
        """As the provider says; asked once. Raises SignInFault."""
        if self._addresses is None:
            status, body = await self._ask(self._url + DISCOVERY)
            found = _read(Addresses, body) if status == 200 else None
            if found is None or not all(self._as_safe(url) for url in found.model_dump().values()):
                raise SignInFault("hub_down")
            self._addresses = found
        return self._addresses

    async def account(self, code: str, verifier: str, redirect_uri: str) -> Account:
        """Whose code it is. verifier: of PKCE (RFC 7636). Raises SignInFault."""
        where = await self.addresses()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client.id,
            "code_verifier": verifier,
        }
        status, body = await self._ask(where.token_endpoint, form, _login(self.client))
        token = _read(_Token, body) if status == 200 else None
        if token is None:
            raise SignInFault(_why(status, body))
        bearer = {"authorization": f"Bearer {token.access_token}"}
        status, body = await self._ask(where.userinfo_endpoint, headers=bearer)
        account = _read(Account, body) if status == 200 else None
        if account is None:
            raise SignInFault("hub_down")
        return account

    async def _ask(
        self,
        url: str,
        form: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, bytes]:
        try:
            return await self._fetch(
                url, form=form, headers={"accept": "application/json", **(headers or {})}
            )
        except OSError:
            failure = SignInFault("hub_down")
        raise failure

    def _as_safe(self, url: str) -> bool:
        """Whether a secret may go there as well as to the issuer."""
        return url.startswith("https://" if self._url.startswith("https://") else "http://")


def _login(client: Client) -> dict[str, str]:
    """Source: RFC 6749, 2.3.1."""
    if not client.secret:
        return {}
    pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _why(status: int, body: bytes) -> str:
    """Whose fault it is that no token came. Source: RFC 6749, 5.2."""
    refusal = _read(_Refusal, body)
    error = refusal.error if refusal else ""
    if error in ("invalid_client", "unauthorized_client") or (status == 401 and not error):
        return "hub_secret"
    return "hub_stale" if error == "invalid_grant" else "hub_down"


def _read(shape: type[Known], body: bytes) -> Known | None:
    try:
        return shape.model_validate_json(body)
    except ValidationError:
        return None
