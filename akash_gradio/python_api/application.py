"""`App` and `launch`: the page, built from Python objects and keyword arguments."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, Unpack

from akash_gradio import app as composition
from akash_gradio.config.endpoints import EndpointSettings
from akash_gradio.config.keywords import UnknownSetting, keyword_problem, to_fields
from akash_gradio.config.settings import EmbeddedMode, Settings, read_settings
from akash_gradio.gateway import Gateway
from akash_gradio.python_api.models import ConfigurationError, Model, to_endpoint
from akash_gradio.python_api.models_file import load_models_file
from akash_gradio.python_api.notebook import in_notebook, show_inline

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from akash_gradio.python_api.keywords import SettingsKeywords

PORTS_TRIED: Final = 100
"""Ports tried from the default one on, when none was chosen."""

Target: TypeAlias = object
"""An endpoint: a URL, an `Endpoint`, a `Model` with a function, a function, or an object of
another library that docs/python.md lists."""


class App:
    """A page and its gateway.

    Args:
        endpoints: What answers: URLs, functions, `Endpoint`s and `Model`s, one or a list. None
            reads the endpoints from the environment, as the command does.
        models: `Model`s of the endpoints: their cards. Those with a function are endpoints too.
        settings: Every setting of docs/configuration.md as a keyword, in lower case; it wins
            over the environment variable.

    Raises:
        ConfigurationError: An argument is invalid.
    """

    def __init__(
        self,
        endpoints: Target | Sequence[Target] = None,
        *,
        models: Sequence[Model] = (),
        **settings: Unpack[SettingsKeywords],
    ) -> None:
        read = _read_settings(settings)
        self._chose_port = "server_port" in read.model_fields_set
        self._configure(read, endpoints, models)

    @classmethod
    def from_settings(cls, settings: Settings) -> App:
        """Create the app that a command serves, on exactly the port of its settings.

        Args:
            settings: From `read_settings`, with endpoints and perhaps a models file.

        Raises:
            ConfigurationError: The models file can't be used.
        """
        app = cls.__new__(cls)
        app._chose_port = True
        app._configure(settings, None, ())
        return app

    def _configure(
        self,
        settings: Settings,
        endpoints: Target | Sequence[Target],
        models: Sequence[Model],
    ) -> None:
        targets = _listed(endpoints) + [model for model in models if model.function is not None]
        cards = [model.card for model in models if model.function is None]
        if endpoints is None and settings.models_file is not None:
            from_file, described = load_models_file(settings.models_file)
            targets += from_file
            cards += [model.card for model in described]
        entries = [to_endpoint(target) for target in targets]
        cards += [entry.card for entry in entries if entry.card is not None]
        kept = settings.endpoints if endpoints is None else ()
        entry_settings = [*kept, *(entry.settings for entry in entries)]
        self._settings = _with_endpoints(settings, entry_settings)
        self._cards = tuple({card.id: card for card in cards}.values())
        self._built: composition.App | None = None
        self._running: composition.RunningPage | None = None

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self._settings

    @property
    def gateway(self) -> Gateway:
        """The gateway. Before `launch`, use it with `async with`; then it runs with the page."""
        return self._app().gateway

    @property
    def url(self) -> str:
        """The address of the page, "" while it isn't running."""
        return self._running.url if self._running is not None else ""

    def launch(self, *, block: bool | None = None, inline: bool | None = None) -> Self:
        """Serve the page.

        Args:
            block: Whether to serve until the process is ended; by default True in a script and
                False in a notebook.
            inline: Whether to show the page in the cell's output; by default True in a notebook.

        Returns:
            The app, once it runs, or once it has ended if it blocks.

        Raises:
            OSError: The chosen port is in use, or the host can't be listened on.
        """
        notebook = in_notebook()
        self.close()
        if not self._chose_port:
            port = _free_port(self._settings.server_name, self._settings.server_port)
            self._settings = self._settings.model_copy(update={"server_port": port})
        if block is None:
            block = not notebook
        app = self._app()
        if block:
            app.launch()
            return self
        self._running = app.start()
        if notebook if inline is None else inline:
            show_inline(self._running.url)
        return self

    def close(self) -> None:
        """Stop serving, and free the port. Does nothing if the page isn't running."""
        running, self._running, self._built = self._running, None, None
        if running is not None:
            running.close()

    def mount(self, app: Starlette, path: str = "/chat") -> Starlette:
        """Serve the page below a path of a FastAPI or Starlette app; `/v1` is below it too.

        Args:
            app: The app that serves; the page starts and ends with it.
            path: Where to mount, beginning with `/`.

        Returns:
            The same app.

        Raises:
            ConfigurationError: The path doesn't begin with `/`.
        """
        if not path.startswith("/"):
            raise ConfigurationError(f"App.mount(path={path!r}): must begin with /")
        composition.mount_page(self._app(), app, path.rstrip("/"))
        return app

    def __enter__(self) -> Self:
        return self.launch(block=False)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _repr_html_(self) -> str:
        """Show a link in a notebook."""
        return f'<a href="{self.url}">{self.url}</a>' if self.url else "not running"

    def _app(self) -> composition.App:
        if self._built is None:
            self._built = composition.create_app(self._settings, cards=self._cards)
        return self._built


def launch(
    endpoints: Target | Sequence[Target] = None,
    *,
    models: Sequence[Model] = (),
    block: bool | None = None,
    inline: bool | None = None,
    **settings: Unpack[SettingsKeywords],
) -> App:
    """Serve a page for endpoints: `launch("http://localhost:11434/v1")`, `launch(function)`.

    Args:
        endpoints: See `App`.
        models: See `App`.
        block: See `App.launch`.
        inline: See `App.launch`.
        settings: See `App`.

    Returns:
        The app, which runs in the background if it doesn't block.

    Raises:
        ConfigurationError: An argument is invalid.
    """
    app = App(endpoints, models=models, **settings)
    return app.launch(block=block, inline=inline)


def open_gateway(
    endpoints: Target | Sequence[Target] = None,
    *,
    models: Sequence[Model] = (),
    **settings: Unpack[SettingsKeywords],
) -> Gateway:
    """Return the gateway alone, without a page; use it with `async with`.

    Args:
        endpoints: See `App`.
        models: See `App`.
        settings: See `App`.

    Raises:
        ConfigurationError: An argument is invalid.
    """
    return App(endpoints, models=models, **settings).gateway


def _listed(endpoints: Target | Sequence[Target]) -> list[Target]:
    if endpoints is None:
        return []
    if isinstance(endpoints, list | tuple):
        return list(endpoints)
    return [endpoints]


def _read_settings(keywords: Mapping[str, Any]) -> Settings:
    try:
        fields = to_fields(keywords)
    except UnknownSetting as error:
        raise ConfigurationError(str(error)) from None
    settings = read_settings(overrides=fields)
    for problem in settings.problems:
        if (message := keyword_problem(problem, keywords)) is not None:
            raise ConfigurationError(message)
    return settings


def _with_endpoints(settings: Settings, entries: Sequence[EndpointSettings]) -> Settings:
    """Return the settings with these endpoints, each with an alias of its own."""
    if not entries:
        return settings
    named: dict[str, EndpointSettings] = {}
    for number, entry in enumerate(entries, start=1):
        name = f"{entry.name}-{number}" if entry.name in named else entry.name
        named[name] = entry.model_copy(update={"name": name})
    update: dict[str, Any] = {"endpoints": tuple(named.values())}
    if settings.embedded is EmbeddedMode.AUTO:
        update["embedded"] = EmbeddedMode.OFF
    return settings.model_copy(update=update)


def _free_port(host: str, first: int) -> int:
    """Return the first free port, as Gradio chooses one; the first if none is free."""
    for port in range(first, min(first + PORTS_TRIED, 65_536)):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with closing(socket.socket(family)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    return first
