"""Renders the page's Jinja templates, with escaping on."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from akash_gradio.config.paths import ASSETS
from akash_gradio.web import texts
from akash_gradio.web.card_view import CardView, PanelView
from akash_gradio.web.notices import Notice

ICON: Final = ASSETS / "icon.svg"


@cache
def _environment() -> Environment:
    loader = PackageLoader("akash_gradio.web", "templates")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    tables = {"w": texts.PAGE, "p": texts.PANEL, "s": texts.SETTINGS}
    more = {"c": texts.CHECK, "sets": texts.SETS}
    environment.globals.update(**tables, **more, h=texts.HEALTH, r=texts.RANKING)
    return environment


def render_template(name: str, **values: Any) -> str:
    """Render a template. Values are escaped, unless the template marks them as `safe`."""
    return _environment().get_template(f"{name}.html").render(**values)


@cache
def tab_icon() -> str:
    """Return the tag of the browser tab's icon, as a data URL that needs no request."""
    return f'<link rel="icon" href="data:image/svg+xml,{quote(ICON.read_text("utf-8").strip())}">'


@lru_cache(maxsize=1024)
def card_html(card: CardView) -> str:
    """Render a card of the gallery; cached until something on it changes."""
    return render_template("card", card=card)


def panel_html(card: PanelView) -> str:
    """Render a model's panel."""
    return render_template("panel", card=card)


def notice_html(notice: Notice) -> str:
    """Render a notice."""
    return render_template("notice", notice=notice)
