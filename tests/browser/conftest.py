from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.actions import DESKTOP, LONG_MS, PageMonitor, open_browser
from tests.browser.servers import QUICK_RETRIES, App, running_app
from tests.browser.upstreams import Upstream, Upstreams, open_upstreams

# Scope "package" ends with this folder, which therefore has an `__init__.py`: Playwright's event
# loop must be closed before async tests of other folders start.


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=LONG_MS)
    with open_browser() as browser:
        yield browser


@pytest.fixture(scope="package")
def upstreams() -> Iterator[Upstreams]:
    with open_upstreams(single=64, pairs=6) as upstreams:
        yield upstreams


@pytest.fixture(scope="package")
def app(upstreams: Upstreams, tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """The program with all upstreams, shared by most tests."""
    folder = tmp_path_factory.mktemp("app")
    catalog = upstreams.write_catalog(folder / "models.toml")
    with running_app(
        folder, ENDPOINTS=upstreams.entries(), CATALOG_FILE=catalog, EMBEDDED="off", **QUICK_RETRIES
    ) as app:
        yield app


@pytest.fixture
def upstream(upstreams: Upstreams) -> Upstream:
    """A model with one endpoint, not used by other tests."""
    return upstreams.single.pop(0)


@pytest.fixture
def pair(upstreams: Upstreams) -> Upstream:
    """A model with two endpoints, not used by other tests."""
    return upstreams.pairs.pop(0)


@dataclass
class NewVisitor:
    """Opens pages of new visitors, and monitors them."""

    browser: Browser
    monitor: PageMonitor
    contexts: list[BrowserContext]

    def __call__(self, app: App, **options: Any) -> Page:
        """Return a blank page of a new visitor. options: of `Browser.new_context`."""
        context = self.browser.new_context(
            base_url=app.url, reduced_motion="reduce", **{**DESKTOP, **options}
        )
        context.set_default_timeout(LONG_MS)
        self.monitor.monitor(context, app.url)
        self.contexts.append(context)
        return context.new_page()

    def allow(self, pattern: str) -> None:
        """Expect problems that match this regular expression."""
        self.monitor.allow(pattern)


@pytest.fixture
def start_here(start_app: Callable[..., Any]) -> Iterator[Callable[..., App]]:
    """Start a program for one test; it ends after the test's pages are closed."""
    with ExitStack() as stack:
        yield lambda name, **variables: stack.enter_context(start_app(name, **variables))


@pytest.fixture
def visit(browser: Browser, start_here: Callable[..., App]) -> Iterator[NewVisitor]:
    visits = NewVisitor(browser, PageMonitor(), [])
    yield visits
    for context in visits.contexts:
        context.close()
    assert not visits.monitor.unexpected()


@pytest.fixture
def page(visit: NewVisitor, app: App) -> Page:
    """The page of a new visitor of the shared program."""
    return visit(app)


@pytest.fixture(scope="package")
def start_app(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Any]:
    """Start a program: `with start_app(name, VARIABLE=…) as app:`."""

    def start(name: str, **variables: Any) -> Any:
        return running_app(tmp_path_factory.mktemp(name), **{**QUICK_RETRIES, **variables})

    return start


@pytest.fixture(scope="package")
def fallback_app(start_app: Callable[..., Any]) -> Iterator[tuple[App, Upstream]]:
    """A program whose model `broken` fails, and the upstream of its fallback model."""
    with open_upstreams(single=2, pairs=0) as upstreams:
        broken, spare = upstreams.single
        broken.stub.set_behavior("status_500")
        entries = [{"url": broken.stub.url, "models": ["broken"]}, *spare.entries()]
        with start_app("fallback", ENDPOINTS=entries, FALLBACK_MODEL=spare.model) as app:
            yield app, spare
