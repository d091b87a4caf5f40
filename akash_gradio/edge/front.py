"""The edge from the settings: all that `Edge` needs, and what others ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from akash_gradio.edge.closing import Running
from akash_gradio.edge.entry import Entry
from akash_gradio.edge.middleware import Edge, Rules, Say
from akash_gradio.edge.sign_in import Draw, SignIn
from akash_gradio.edge.signing import Signer
from akash_gradio.edge.visitors import Visitors
from akash_gradio.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """The parts, each of which is alive. say, sign_in: hold the page's words."""

    rules: Rules
    say: Say
    running: Running
    visitors: Visitors
    sign_in: SignIn

    def before(self, app: ASGIApp) -> Edge:
        """The app behind the edge; Starlette calls it as a middleware's class."""
        return Edge(app, self.rules, self.say, self.running, self.visitors, self.sign_in)

    def signed_in(self, scope: Mapping[str, Any]) -> bool:
        """Whether this browser has a session that it could end."""
        return self.sign_in.entry.session(scope) is not None

    def is_host(self, scope: Mapping[str, Any]) -> bool:
        """Whether the host's own password was given in this browser."""
        session = self.sign_in.entry.session(scope)
        return session is not None and session.host


def make_front(settings: Settings, signer: Signer, say: Say, draw: Draw) -> Front:
    """Nothing is opened yet. signer: of the cookies."""
    visitors = Visitors(signer, proxies=settings.trusted_proxies, told_apart=settings.limited)
    entry = Entry(
        signer, token=_text(settings.access_token), password=_text(settings.admin_password)
    )
    rules = Rules(
        allowed_origins=frozenset(settings.allowed_origins),
        frame_ancestors=" ".join(settings.frame_ancestors),
    )
    return Front(
        rules=rules,
        say=say,
        running=Running(),
        visitors=visitors,
        sign_in=SignIn(entry, visitors, draw),
    )


def _text(secret: Any) -> str:
    return secret.get_secret_value() if secret is not None else ""
