"""The edge from the settings: all that `SecurityMiddleware` needs, and what others ask of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from akash_gradio.auth.http_client import Fetch, fetch
from akash_gradio.auth.oauth_login import AllowList, OAuthLogin
from akash_gradio.auth.openid_provider import Client, Provider
from akash_gradio.auth.session import SessionAuth
from akash_gradio.auth.sign_in import Draw, SignIn
from akash_gradio.auth.signing import Signer
from akash_gradio.auth.visitors import Visitors
from akash_gradio.config.settings import Settings
from akash_gradio.http.shutdown import Running
from akash_gradio.web.middleware import Rules, Say, SecurityMiddleware


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityStack:
    """The parts, each of which is alive. say, sign_in: hold the page's words.

    finish: what is done to HTML before it is sent.
    """

    rules: Rules
    say: Say
    running: Running
    visitors: Visitors
    sign_in: SignIn
    finish: Callable[[bytes], bytes] = bytes

    def before(self, app: ASGIApp) -> SecurityMiddleware:
        """The app behind the edge; Starlette calls it as a middleware's class."""
        return SecurityMiddleware(
            app, self.rules, self.say, self.running, self.visitors, self.sign_in, self.finish
        )

    def signed_in(self, scope: Mapping[str, Any]) -> bool:
        """Whether this browser has a session that it could end."""
        return self.sign_in.entry.session(scope) is not None

    def user(self, scope: Mapping[str, Any]) -> str:
        """The name under which this browser's visitor signed in, "" without one."""
        session = self.sign_in.entry.session(scope)
        return session.user if session is not None else ""

    def is_operator(self, scope: Mapping[str, Any]) -> bool:
        """Whether the host's own password was given in this browser."""
        session = self.sign_in.entry.session(scope)
        return session is not None and session.host


def build_security_stack(
    settings: Settings,
    signer: Signer,
    say: Say,
    draw: Draw,
    ask: Fetch = fetch,
    finish: Callable[[bytes], bytes] = bytes,
) -> SecurityStack:
    """Nothing is opened yet. signer: of the cookies. ask: how the provider of sign-in is asked.

    finish: of the page's HTML.
    """
    visitors = Visitors(signer, proxies=settings.trusted_proxies, told_apart=settings.limited)
    circle = AllowList(
        users=frozenset(settings.allowed_users), orgs=frozenset(settings.allowed_orgs)
    )
    entry = SessionAuth(
        signer,
        token=_text(settings.access_token),
        password=_text(settings.admin_password),
        circle=circle.print if settings.requires_sign_in else "",
    )
    hub = None
    if settings.requires_sign_in and settings.oauth_client_id:
        client = Client(id=settings.oauth_client_id, secret=_text(settings.oauth_client_secret))
        provider = Provider(settings.openid_provider_url, client, ask)
        hub = OAuthLogin(provider, circle, entry, signer, visitors, hosts=settings.space_hosts)
    rules = Rules(
        allowed_origins=frozenset(settings.allowed_origins),
        frame_ancestors=" ".join(settings.frame_ancestors),
    )
    return SecurityStack(
        rules=rules,
        say=say,
        running=Running(),
        visitors=visitors,
        sign_in=SignIn(entry, visitors, draw, hub),
        finish=finish,
    )


def _text(secret: Any) -> str:
    return secret.get_secret_value() if secret is not None else ""
