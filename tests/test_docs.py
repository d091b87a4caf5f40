from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from akash_gradio.catalog.loader import read_catalog
from akash_gradio.config.endpoints import EndpointSettings, read_endpoints
from akash_gradio.config.settings import read_settings, variables
from akash_gradio.domain.model import ModelCard
from akash_gradio.gateway import breaker, retries
from akash_gradio.gateway.policies import Candidate, CurrentWeights, weighted
from akash_gradio.web import texts
from akash_gradio.web.routes import page_routes
from tests.browser.servers import free_port
from tests.documents import DOCS, ROOT, Fence, fences, text_of
from tests.web.fakes import FakeChatGateway, make_deps

PAGES = sorted([*ROOT.glob("*.md"), *DOCS.glob("*.md")])
RUNS = "<!-- runs against examples/custom_endpoint.py -->"
NOT_OURS = {
    "GRADIO_ANALYTICS_ENABLED", "GRADIO_SSR_MODE", "HTTPS_PROXY", "NO_PROXY",
    "AKASHML_KEY",
}  # fmt: skip
"""Variables in the documents that are not settings."""


def all_fences(*languages: str) -> list[Any]:
    every = [fence for page in PAGES for fence in fences(page)]
    return [
        pytest.param(fence, id=f"{fence.page}:{fence.line}")
        for fence in every
        if fence.language in languages
    ]


def prose(path: Path) -> str:
    return re.sub(r"^ *```.*?^ *```$", "", text_of(path), flags=re.M | re.S)


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(path), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings
    }


def table(path: Path, heading: str) -> list[list[str]]:
    """The rows of the first table under a line of text, backticks kept."""
    after = text_of(path).split(heading, maxsplit=1)[1].splitlines()
    start = next(number for number, line in enumerate(after) if line.startswith("|"))
    rows = []
    for line in after[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


# ── links, names, blocks ─────────────────────────────────────────────────────


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_has_a_target(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_file_exists(page: Path) -> None:
    named = r"`((?:tests|bench|examples|assets|akash_gradio|docs)/[\w./-]*)`"
    for name in re.findall(named, prose(page)):
        if name != "assets/thumbnails/":  # created by users
            assert (ROOT / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_named_variable_is_a_setting(page: Path) -> None:
    named = set(re.findall(r"`\$?\{?([A-Z][A-Z0-9]*_[A-Z0-9_]+)\}?(?:=[^`]*)?`", prose(page)))
    assert named - NOT_OURS <= set(variables().values())


def test_every_variable_is_in_the_configuration_page() -> None:
    for name in variables().values():
        assert f"`{name}`" in text_of(DOCS / "configuration.md"), name


@pytest.mark.parametrize("fence", all_fences("python"))
def test_python_compiles(fence: Fence) -> None:
    compile(fence.text, fence.page, "exec")


@pytest.mark.parametrize("fence", all_fences("json"))
def test_json_parses(fence: Fence) -> None:
    json.loads(fence.text)


@pytest.mark.parametrize("fence", all_fences("toml"))
def test_every_catalog_example_is_valid(fence: Fence, tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(fence.text, encoding="utf-8")
    catalog = read_catalog(path)
    assert (len(catalog.cards), catalog.problems) == (1, ())


# ── tables and examples ──────────────────────────────────────────────────────


def endpoint_examples() -> list[Any]:
    examples = []
    for page in PAGES:
        for fence in fences(page):
            starts = [m.end() for m in re.finditer(r"ENDPOINTS='?(?=\[)", fence.text)]
            if fence.language == "json" and '"url"' in fence.text:
                starts.append(0)
            examples += [
                pytest.param(fence.text[start:], id=f"{page.name}:{fence.line}") for start in starts
            ]
    return examples


@pytest.mark.parametrize("text", endpoint_examples())
def test_every_example_of_endpoints_is_valid(text: str) -> None:
    entries, end = json.JSONDecoder().raw_decode(text)
    environment = dict.fromkeys(re.findall(r'"\$(\w+)"', text[:end]), "value")
    endpoints, problems = read_endpoints(text[:end], environment)
    assert (len(endpoints), problems) == (len(entries), ())


def test_the_env_example_is_valid(tmp_path: Path) -> None:
    text = next(
        fence.text
        for fence in fences(DOCS / "model-integration.md")
        if fence.text.startswith("MY_KEY=")
    )
    path = tmp_path / ".env"
    path.write_text(text, encoding="utf-8")
    settings = read_settings({}, path)
    assert settings.problems == ()
    assert [endpoint.name for endpoint in settings.endpoints] == ["mine", "spare"]


def test_every_field_of_an_endpoint_is_documented() -> None:
    rows = table(DOCS / "llm-gateway.md", "## ENDPOINTS")
    fields_listed = [quoted(row[0])[0] for row in rows]
    assert sorted(fields_listed) == sorted(map(to_camel, EndpointSettings.model_fields))


def test_every_form_of_an_address_has_the_documented_url() -> None:
    for forms, url in table(DOCS / "llm-gateway.md", "### Forms of the address"):
        for form in quoted(forms):
            endpoint = EndpointSettings(url=form, name="e")
            assert endpoint.address("/…") == quoted(url)[0]


CATALOG_ROWS = table(DOCS / "model-integration.md", "The same in JSON is")


def test_every_field_of_the_catalog_is_documented() -> None:
    model_fields = {field.name for field in fields(ModelCard)} - {"discovered"}
    assert {quoted(row[1])[0] for row in CATALOG_ROWS} == model_fields
    for row in CATALOG_ROWS:
        guide, snake = quoted(row[0])[0], quoted(row[1])[0]
        assert guide in (to_camel(snake), snake)


@pytest.mark.parametrize("row", CATALOG_ROWS, ids=lambda row: quoted(row[0])[0])
def test_every_example_of_a_catalog_field_is_valid_in_every_spelling(
    row: list[str], tmp_path: Path
) -> None:
    for spelling in {*quoted(row[0]), *quoted(row[1])}:
        example = quoted(row[5])[0]
        others = "" if spelling == "id" else 'id = "m"\n'
        path = tmp_path / "models.toml"
        path.write_text(f"[[models]]\n{others}{spelling} = {example}\n", encoding="utf-8")
        catalog = read_catalog(path, {"TEAM": "demo"})
        assert (len(catalog.cards), catalog.problems) == (1, ()), spelling


def test_the_catalog_example_sets_every_field() -> None:
    fence = next(f for f in fences(DOCS / "model-integration.md") if f.language == "toml")
    (entry,) = tomllib.loads(fence.text)["models"]
    assert set(entry) == {quoted(row[0])[0] for row in CATALOG_ROWS}


def test_the_catalog_refers_to_the_documentation_of_its_fields() -> None:
    assert "docs/model-integration.md" in text_of(ROOT / "akash_gradio/catalog/models.toml")


@pytest.mark.parametrize(("title", "weights"), [("2 and 1:", (2, 1)), ("5, 1 and 1:", (5, 1, 1))])
def test_the_worked_examples_of_routing_are_correct(title: str, weights: tuple[int, ...]) -> None:
    among = [
        Candidate(alias=alias, weight=weight) for alias, weight in zip("abc", weights, strict=False)
    ]
    turns: CurrentWeights = {}
    for row in table(DOCS / "routing.md", f"eights {title}"):
        before = [turns.get(candidate.alias, 0) + candidate.weight for candidate in among]
        chosen = weighted(among, turns)
        after = [turns[candidate.alias] for candidate in among]
        assert row[1:] == [*map(str, before), chosen, *map(str, after)]
    assert all(value == 0 for value in turns.values())


def test_the_documented_numbers_are_those_of_the_code() -> None:
    text = text_of(DOCS / "llm-gateway.md")
    assert f"{breaker.MAX_DOWN_IN_A_ROW} requests in a row found it down" in text
    assert f"{breaker.DEVIATIONS:g} standard deviations" in text
    assert f"{breaker.MIN_DIFFERENCE:.0%}" in text.replace(" %", "%")
    assert f"{breaker.FIRST_PAUSE_S:g} s at first" in text
    assert f"{breaker.MAX_PAUSE_S / 60:g} min at most" in text
    assert f"{retries.BUDGET_FLOOR} in {retries.BUDGET_WINDOW_S:g} s" in text
    assert f"{retries.RESCUE_EARNINGS:g} more" in text
    assert f"{retries.MAX_BACKOFF_S:g} s at most" in text
    default = read_settings({}, None)
    rounds = range(1, default.retry_attempts + 1)
    pauses = sum(retries.longest_backoff_s(n, default.retry_delay_ms) for n in rounds)
    assert f"({pauses:g} s with the defaults)" in text


def test_quoted_texts_of_the_page_are_verbatim() -> None:
    for text, _ in table(DOCS / "model-integration.md", "### The model does not appear"):
        assert text in texts.UNAVAILABLE_REASONS.values()
    assert texts.PAGE["hidden_one"] in text_of(DOCS / "model-integration.md")


def test_every_error_in_troubleshooting_is_one_of_the_pages() -> None:
    titles = [*(error.title for error in texts.ERRORS.values()), *texts.REFUSED.values()]
    for row in table(DOCS / "model-integration.md", "### Requests fail"):
        parts = [part.strip(" .") for part in re.split(r"\([^)]*\)|…", row[0])]
        assert any(all(part in title for part in parts) for title in titles), row[0]


def test_every_route_of_the_page_is_documented(tmp_path: Path) -> None:
    listed = " ".join(row[0] for row in table(DOCS / "frontend.md", "## Addresses"))
    for route in page_routes(make_deps(FakeChatGateway(), tmp_path)):
        address = getattr(route, "path", "").lstrip("/").partition("{")[0]
        if address.startswith("page/"):
            assert address in listed


# ── deployment ───────────────────────────────────────────────────────────────


def test_the_front_matter_of_the_space_is_valid() -> None:
    top = re.match(r"---\n(.*?)\n---\n", text_of(ROOT / "README.md"), re.DOTALL)
    assert top is not None
    front = yaml.safe_load(top[1])
    assert len(front["short_description"]) <= 60
    assert (front["sdk"], front["python_version"]) == ("gradio", "3.12")
    assert f"gradio=={front['sdk_version']}\n" in text_of(ROOT / "requirements.txt")
    assert (ROOT / front["app_file"]).exists()
    colors = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
    assert {front["colorFrom"], front["colorTo"]} <= colors
    known = {
        "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
        "app_file", "pinned", "license", "short_description", "hf_oauth", "hf_oauth_scopes",
    }  # fmt: skip
    assert front.keys() <= known


def test_a_space_and_the_image_install_the_same_system_packages() -> None:
    for package in text_of(ROOT / "packages.txt").split():
        assert package in text_of(ROOT / "Dockerfile")


def test_the_image_contains_only_what_dockerignore_allows() -> None:
    ignored = text_of(ROOT / ".dockerignore").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied: set[str] = set()
    for line in text_of(ROOT / "Dockerfile").splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            copied.update(line.split()[1:-1])
    assert "*" in ignored
    assert copied == allowed
    assert all((ROOT / name).exists() for name in copied)


# ── programs ─────────────────────────────────────────────────────────────────


@pytest.fixture
def example_endpoint() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / "custom_endpoint.py")],
        env={**os.environ, "PORT": str(port), "API_KEY": "secret"},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert any("running on" in line for line in process.stderr), "it exited before it listened"
    yield f"http://127.0.0.1:{port}"
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


async def test_the_python_example_prints_the_documented_output(
    example_endpoint: str, tmp_path: Path
) -> None:
    after = text_of(DOCS / "llm-gateway.md").split(RUNS, maxsplit=1)[1]
    program = after.split("```python\n", maxsplit=1)[1].split("```", maxsplit=1)[0]
    expected = after.split("```text\n", maxsplit=1)[1].split("```", maxsplit=1)[0]
    path = tmp_path / "ask.py"
    path.write_text(program, encoding="utf-8")
    environment = {
        **os.environ,
        "API_ENDPOINT": example_endpoint,
        "API_KEY": "secret",
        "PYTHONPATH": str(ROOT),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(path), env=environment, cwd=tmp_path, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert output.decode() == expected
