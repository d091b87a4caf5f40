"""Builds the security middleware from the settings; its parts identify who sent a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from akash_gradio.auth.http_client import Fetch, fetch
from akash_gradio.auth.oauth_login import AllowList, OAuthLogin
from akash_gradio.auth.openid_provider import Client, Provider
from akash_gradio.auth.session import SessionAuth
from akash_gradio.auth.sign_in import RenderSignIn, SignIn
from akash_gradio.auth.signing import Signer
from akash_gradio.auth.visitors import Visitors
from akash_gradio.config.settings import Settings
from akash_gradio.http.asgi import ASGIApp
from akash_gradio.http.hosts import HostRules
from akash_gradio.http.shutdown import RunningRequests
from akash_gradio.quota.limiter import RateLimiter
from akash_gradio.web.middleware import OriginRules, RenderError, SecurityMiddleware
from akash_gradio.web.route_table import RouteTable

SIGNED_OUT_FILE: Final = "signed-out-sessions"
"""In DATA_DIR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityStack:
    """The parts of the security middleware.

    Attributes:
        rules: Other sites that may send requests to the page or show it in a frame.
        render_error: Returns the JSON of an error.
        running: The requests in progress, which a shutdown waits for.
        visitors: Identifies visitors.
        sign_in: The routes of signing in and out.
        transform_html: Applied to each HTML page before it is sent.
    """

    rules: OriginRules
    render_error: RenderError
    running: RunningRequests
    visitors: Visitors
    sign_in: SignIn
    transform_html: Callable[[bytes], bytes] = bytes

    def wrap(self, app: ASGIApp, routes: RouteTable) -> SecurityMiddleware:
        """Wrap the app in the middleware; usable as Starlette's middleware class.

        Args:
            app: The page's app.
            routes: The routes that it may serve.
        """
        return SecurityMiddleware(
            app,
            routes,
            self.rules,
            self.render_error,
            self.running,
            self.visitors,
            self.sign_in,
            self.transform_html,
        )

    def signed_in(self, scope: Mapping[str, Any]) -> bool:
        """Return whether this browser has a session, which it could end."""
        return self.sign_in.sessions.session(scope) is not None

    def user(self, scope: Mapping[str, Any]) -> str:
        """Return the user name that this visitor signed in with, "" without one."""
        session = self.sign_in.sessions.session(scope)
        return session.user if session is not None else ""

    def is_operator(self, scope: Mapping[str, Any]) -> bool:
        """Return whether the operator's password was given in this browser."""
        session = self.sign_in.sessions.session(scope)
        return session is not None and session.operator


def build_security_stack(
    settings: Settings,
    signer: Signer,
    limiter: RateLimiter,
    render_error: RenderError,
    render_sign_in: RenderSignIn,
    fetch: Fetch = fetch,
    transform_html: Callable[[bytes], bytes] = bytes,
) -> SecurityStack:
    """Build the parts; nothing is opened yet.

    Args:
        settings: The operator's settings: access, sign-in, trusted proxies, allowed origins.
        signer: Signs the cookies.
        limiter: Counts sign-in attempts.
        render_error: Returns the JSON of an error.
        render_sign_in: Renders the sign-in page.
        fetch: Sends requests to the provider of sign-in.
        transform_html: Applied to each HTML page before it is sent.
    """
    visitors = Visitors(signer, proxies=settings.trusted_proxies)
    allow_list = AllowList(
        users=frozenset(settings.allowed_users), orgs=frozenset(settings.allowed_orgs)
    )
    sessions = SessionAuth(
        signer,
        token=_reveal(settings.access_token),
        password=_reveal(settings.admin_password),
        allow_list=allow_list.fingerprint if settings.requires_sign_in else "",
        limiter=limiter,
        signed_out_file=settings.data_dir / SIGNED_OUT_FILE if settings.data_dir else None,
    )
    oauth = None
    if settings.requires_sign_in and settings.oauth_client_id:
        client = Client(id=settings.oauth_client_id, secret=_reveal(settings.oauth_client_secret))
        provider = Provider(settings.openid_provider_url, client, fetch)
        oauth = OAuthLogin(
            provider, allow_list, sessions, signer, visitors, hosts=settings.space_hosts
        )
    origins = (urlsplit(origin).hostname or "" for origin in settings.allowed_origins)
    hosts = HostRules.of(
        (*settings.allowed_hosts, *settings.space_hosts, *origins, settings.server_name),
        admits_any=settings.has_front and not settings.allowed_hosts,
    )
    rules = OriginRules(
        hosts=hosts,
        allowed_origins=frozenset(settings.allowed_origins),
        frame_ancestors=" ".join(settings.frame_ancestors),
    )
    return SecurityStack(
        rules=rules,
        render_error=render_error,
        running=RunningRequests(),
        visitors=visitors,
        sign_in=SignIn(sessions, visitors, render_sign_in, oauth),
        transform_html=transform_html,
    )


def _reveal(secret: Any) -> str:
    return secret.get_secret_value() if secret is not None else ""
