"""Hugging Face as the provider of sign-in, with OpenID Connect's authorization code flow.

The account is requested from the provider itself, over TLS and with the access token. No ID
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

DISCOVERY_PATH: Final = "/.well-known/openid-configuration"
USERNAME_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"


class SignInError(Exception):
    """A sign-in failed.

    Attributes:
        code: A key of `web.texts.SIGN_IN`, which says what to do.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ProviderEndpoints(BaseModel):
    """The provider's URLs, as its discovery document lists them."""

    authorization_endpoint: str
    token_endpoint: str
    userinfo_endpoint: str


class _TokenResponse(BaseModel):
    access_token: Annotated[str, Field(pattern=r"^[!-~]{1,5000}$", repr=False)]


class _ErrorResponse(BaseModel):
    error: str


class _Organization(BaseModel):
    preferred_username: str = ""


class Account(BaseModel):
    """An account at the provider, with the organizations that it disclosed."""

    preferred_username: Annotated[str, Field(pattern=USERNAME_PATTERN)]
    orgs: tuple[_Organization, ...] | None = None

    @property
    def org_names(self) -> frozenset[str]:
        """Names of the organizations in lower case, without empty ones."""
        return frozenset(org.preferred_username.lower() for org in self.orgs or ()) - {""}


Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """This server as the provider's client.

    Attributes:
        id: The client id.
        secret: The client secret, "" for an app without one.
    """

    id: str
    secret: str = field(default="", repr=False)


class Provider:
    """The provider of sign-in."""

    def __init__(self, url: str, client: Client, fetch: Fetch) -> None:
        """Initialize the provider; nothing is requested yet.

        Args:
            url: The issuer, without a slash at its end.
            client: This server as the provider's client.
            fetch: Sends requests.
        """
        self._url, self.client, self._fetch = url, client, fetch
        self._endpoints: ProviderEndpoints | None = None

    async def endpoints(self) -> ProviderEndpoints:
        """Return the provider's URLs; they are requested once.

        Raises:
            SignInError: The provider can't be reached, or its URLs aren't safe.
        """
        if self._endpoints is None:
            status, body = await self._request(self._url + DISCOVERY_PATH)
            endpoints = _parse(ProviderEndpoints, body) if status == 200 else None
            if endpoints is None or not all(map(self._is_safe, endpoints.model_dump().values())):
                raise SignInError("hub_down")
            self._endpoints = endpoints
        return self._endpoints

    async def account(self, code: str, verifier: str, redirect_uri: str) -> Account:
        """Return the account that an authorization code stands for.

        Args:
            code: The authorization code.
            verifier: The PKCE code verifier (RFC 7636).
            redirect_uri: The same as in the authorization request.

        Raises:
            SignInError: The code is invalid, or the provider doesn't respond.
        """
        endpoints = await self.endpoints()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "client_id": self.client.id,
            "code_verifier": verifier,
        }
        credentials = _client_credentials(self.client)
        status, body = await self._request(endpoints.token_endpoint, form, credentials)
        token = _parse(_TokenResponse, body) if status == 200 else None
        if token is None:
            raise SignInError(_token_error(status, body))
        bearer = {"authorization": f"Bearer {token.access_token}"}
        status, body = await self._request(endpoints.userinfo_endpoint, headers=bearer)
        account = _parse(Account, body) if status == 200 else None
        if account is None:
            raise SignInError("hub_down")
        return account

    async def _request(
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
            failure = SignInError("hub_down")
        raise failure  # outside the handler, so that the error holds no object of the request

    def _is_safe(self, url: str) -> bool:
        """Return whether a secret may be sent there as well as to the issuer."""
        return url.startswith("https://" if self._url.startswith("https://") else "http://")


def _client_credentials(client: Client) -> dict[str, str]:
    """Return the header that authenticates the client. Source: RFC 6749, 2.3.1."""
    if not client.secret:
        return {}
    pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
    return {"authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def _token_error(status: int, body: bytes) -> str:
    """Return the code of a refused token request. Source: RFC 6749, 5.2."""
    response = _parse(_ErrorResponse, body)
    error = response.error if response else ""
    if error in ("invalid_client", "unauthorized_client") or (status == 401 and not error):
        return "hub_secret"
    return "hub_stale" if error == "invalid_grant" else "hub_down"


def _parse(model: type[Model], body: bytes) -> Model | None:
    try:
        return model.model_validate_json(body)
    except ValidationError:
        return None
