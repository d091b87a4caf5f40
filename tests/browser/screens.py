"""Takes pictures of every screen and state: `python -m tests.browser.screens [NAME] [--accept]`.

The pictures are written to build/screens/ and compared with the golden ones in
tests/browser/golden/. NAME takes only screens whose name contains it; `--accept` makes the new
pictures the golden ones; `--docs` takes the pictures of the README in docs/pictures/ instead.
"""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, Route, expect

from akash_gradio.catalog.thumbnails import Thumbnails
from akash_gradio.domain.model import ModelCard
from akash_gradio.domain.progress import Progress, Stage
from akash_gradio.web.notices import service_notices
from akash_gradio.web.templating import notice_html
from tests.browser import golden
from tests.browser.actions import (
    DESKTOP,
    PHONE,
    answer_text,
    ask,
    file_payload,
    last_answer,
    open_browser,
    open_chat,
    open_page,
    open_settings,
    send,
    skip_animation_delays,
    wait_until_settled,
)
from tests.browser.golden import TOLERANCE
from tests.browser.servers import QUICK_RETRIES, ROOT, App, running_app
from tests.browser.test_history import choose_chat_action, store_chats
from tests.browser.upstreams import (
    Behavior,
    Gate,
    answering,
    answering_at_gate,
    endless,
    interrupting,
    open_upstreams,
    silent,
    split_tokens,
    thinking,
)
from tests.stubs import Exchange, StubThread
from tests.stubs.compliant import compliant

SCREENS: Final = ROOT / "build" / "screens"
PICTURES: Final = ROOT / "docs" / "pictures"
LLAMA: Final = "meta-llama/Llama-3.3-70B-Instruct"
DEEPSEEK: Final = "deepseek-ai/DeepSeek-V4-Pro"
MAX_PICTURE_BYTES: Final = 400_000

RICH: Final = """\
## Three ways to sort

A **comparison sort** needs at least \\(\\log_2 n!\\) comparisons, which is about \\(n \\log n\\).

| algorithm | best | worst | stable |
|---|---|---|:-:|
| insertion | n | n² | yes |
| merge | n log n | n log n | yes |
| quick | n log n | n² | no |

```python
def merge(left: list[int], right: list[int]) -> list[int]:
    # Both are sorted already.
    out = []
    while left and right:
        out.append((left if left[0] <= right[0] else right).pop(0))
    return [*out, *left, *right]
```

1. Split the list in two
2. Sort each half
   - by the same rule
   - until one element is left
3. Merge them

> Simplicity is prerequisite for reliability.

$$\\sum_{k=0}^{\\lceil \\log_2 n \\rceil} 2^k \\cdot \\frac{n}{2^k} = O(n \\log n)$$
"""
SHORT: Final = """\
A hash table keeps each value in a slot that is **computed from its key**, so it finds it \
without looking at the others.

```python
slot = hash(key) % len(table)
```

| operation | array | hash table |
|---|---|---|
| find by key | O(n) | O(1) on average |
| keep an order | yes | no |

Two keys can fall into one slot. Then the slot holds both, and the table looks twice.
"""
THOUGHTS: Final = "\n\n".join(
    f"Step {number}: I should check the bounds of this part before I go on." for number in range(20)
)
LONG_CODE: Final = "```javascript\n" + "\n".join(
    f"const value{n} = compute({n}, {{ retries: {n % 5}, label: 'a label that is rather long "
    f"and does not fit into the column at all, number {n}' }});"
    for n in range(60)
)
DIAGRAM: Final = """\
It asks the endpoints in turn:

```mermaid
flowchart LR
  A[Request] --> B{An endpoint ready?}
  B -->|yes| C[Ask it]
  B -->|no| D[Wait in line] --> B
  C --> E([Stream the answer])
  style E fill:#bbf7d0,stroke:#166534
```

And one that can't be drawn:

```mermaid
flowchart LR
  A[Request] --> B{Is it (really) ready?}
```
"""
SCRIPTS: Final = """\
مرحبًا! هذه فقرة بالعربية مع كلمة English في وسطها، ورقم 42.

- النقطة الأولى
- النقطة الثانية

これは日本語の段落です。禁則処理と折り返しを確かめるために、少し長めの文章を書いています。

한국어 문장도 있습니다. 中文也在这里。
"""


SMALL_CATALOG: Final = """
[[models]]
id = "small"
name = "Small 1B"
tokenLimit = 500

[[models]]
id = "eyes"
name = "Eyes 8B"
tokenLimit = 32768
vision = true
reasoning = true
reasoningEfforts = ["low", "medium", "high"]
"""


@dataclass(slots=True)
class ScreenSources:
    """The programs that the pictures are taken of, and their endpoints.

    A program is an attribute by its name, such as `sources.main`. It is started on first use.

    Attributes:
        browser: The browser.
        start: Returns a program by its name.
        llama: The endpoint of most models.
        deepseek: The two endpoints of one model.
        name_filter: Part of the names of the screens to take, "" for all.
        taken: The pictures taken so far.
    """

    browser: Browser
    start: Callable[[str], App]
    llama: StubThread
    deepseek: tuple[StubThread, StubThread]
    name_filter: str = ""
    taken: list[Path] = field(default_factory=list)

    def __getattr__(self, name: str) -> App:
        return self.start(name)


@contextmanager
def open_sources(browser: Browser, name_filter: str) -> Iterator[ScreenSources]:
    """Prepare every configuration with its endpoints."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        configured: dict[str, dict[str, Any]] = {}

        @cache
        def start(name: str) -> App:
            given = {"EMBEDDED": "off", **QUICK_RETRIES, "RETRY_DELAY": "4000", **configured[name]}
            return stack.enter_context(running_app(folder / name, **given))

        llama, first, second = (stack.enter_context(StubThread()) for _ in range(3))
        names = tuple(f"maker-{n % 9}/model-{n:03}-instruct" for n in range(200))
        many = stack.enter_context(StubThread(models=names))
        entries = [
            {"name": "akash-eu-1", "url": llama.url, "weight": 2, "models": [*MAIN_MODELS]},
            {"name": "akash-us-1", "url": first.url, "models": [DEEPSEEK]},
            {"name": "akash-us-2", "url": second.url, "models": [DEEPSEEK], "priority": 2},
        ]
        wrong = [{"url": llama.url, "wieght": 2}, {"url": "ftp://host"}, entries[0]]
        little = [{"name": "akash-eu-1", "url": llama.url, "models": ["small", "eyes"]}]
        catalog = folder / "small.toml"
        catalog.write_text(SMALL_CATALOG, encoding="utf-8")
        upstreams = stack.enter_context(open_upstreams(single=1, pairs=0))
        upstreams.single[0].stub.kill()
        configured |= {
            "main": {"ENDPOINTS": entries},
            "small": {
                "ENDPOINTS": little,
                "CATALOG_FILE": catalog,
                "PARAMETER_RANGES": {"temperature": [0, 1], "max_tokens": [1, 1024]},
            },
            "many": {"API_ENDPOINT": many.url},
            "nothing": {},
            "down": {"ENDPOINTS": upstreams.entries(), "RETRY_ATTEMPTS": "3", "RETRY_DELAY": "1"},
            "invalid": {"ENDPOINTS": wrong, "RETRY_DELAY": "many"},
            "broken": {"EMBEDDED": "on", "EMBEDDED_MODEL": "/models/absent.gguf"},
        }
        yield ScreenSources(
            browser=browser,
            start=start,
            llama=llama,
            deepseek=(first, second),
            name_filter=name_filter,
        )


MAIN_MODELS: Final = (
    LLAMA,
    "meta-llama/Llama-3.1-8B-Instruct",
    "meta-llama/Llama-4-Maverick-17B-128E-Instruct",
    "deepseek-ai/DeepSeek-V3.2",
    "Qwen/Qwen3-32B",
)


Shot = Callable[[str], None]


def take_all(sources: ScreenSources) -> None:
    """Take every screen in both sizes and both themes."""
    for width, device in (("1440", DESKTOP), ("390", PHONE)):
        for theme in ("light", "dark"):
            for draw in SCREENS_OF:
                _take(sources, draw, width, device, theme)


def _take(
    sources: ScreenSources,
    draw: Callable[[ScreenSources, Callable[[App], Page], Shot], None],
    width: str,
    device: dict[str, Any],
    theme: str,
) -> None:
    if sources.name_filter and sources.name_filter not in draw.__name__:
        return
    pages: list[Page] = []

    def visit(app: App) -> Page:
        look = {**device, "color_scheme": theme, "reduced_motion": "reduce"}
        context = sources.browser.new_context(base_url=app.url, **look)
        pages.append(context.new_page())
        return pages[-1]

    def shot(name: str) -> None:
        path = SCREENS / f"{name}.{width}.{theme}.png"
        pages[-1].screenshot(path=path)
        sources.taken.append(path)

    try:
        draw(sources, visit, shot)
    finally:
        for page in pages:
            page.context.close()


# ── the screens; each takes one or more pictures ─────────────────────────────

Visit = Callable[[App], Page]


def outline(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = visit(sources.main)
    waiting: list[Route] = []
    page.route("**/assets/index-*.js", lambda route: waiting.append(route))  # Gradio never loads
    page.goto("/", wait_until="commit")
    expect(page.locator("#early")).to_contain_text("Akash Gradio")
    shot("outline")
    skip_animation_delays(page)
    expect(page.locator(".early-late")).to_have_css("opacity", "1")
    shot("outline-late")
    for route in waiting:
        route.abort()


def models(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.main), "/?view=models")
    expect(page.locator(".card").first).to_be_visible()
    _wait_for_pictures(page)
    shot("models")
    page.fill("#model-search", "no such model")
    expect(page.locator("#no-match")).to_be_visible()
    shot("models-no-match")
    if page.locator("#menu").is_visible():
        page.click("#menu")
        expect(page.locator("#sidebar")).to_be_visible()
        shot("sidebar")


def models_200(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.many), "/?view=models")
    expect(page.locator(".card")).to_have_count(200)
    _wait_for_pictures(page)
    shot("models-200")


def panel(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.main), f"/?about={DEEPSEEK}")
    expect(page.locator("#panel h1")).to_be_visible()
    _wait_for_pictures(page)
    shot("panel")


def chat_empty(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_chat(visit(sources.main), LLAMA)
    _wait_for_pictures(page)
    shot("chat-empty")
    page.click("#pick")
    expect(page.locator("#pick-menu")).to_be_visible()
    _wait_for_pictures(page)
    shot("model-menu")


def chat_waiting(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _send_prompt(sources, visit, silent(), "Are you there?")
    expect(last_answer(page).locator(".status")).to_contain_text(re.compile(r"\d s"))
    shot("chat-waiting")


def chat_trying_another(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    first, second = sources.deepseek
    first.set_behavior("status_500")
    second.set_behavior(silent())
    page = open_chat(visit(sources.main), DEEPSEEK)
    send(page, "Who answers?")
    expect(last_answer(page).locator(".status")).to_contain_text("Trying")
    shot("chat-trying-another")


def chat_streaming(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    behavior = answering_at_gate(Gate(), split_tokens(RICH[:520]))
    page = _send_prompt(sources, visit, behavior, "How do computers sort?")
    expect(answer_text(page)).to_contain_text("def merge")
    shot("chat-streaming")


def chat_answer(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _answered(
        sources, visit, answering(*split_tokens(RICH), tokens_per_s=400), "How do they sort?"
    )
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, 0)")
    shot("chat-answer")
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    page.locator(".receipt").last.click()
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    expect(page.locator(".sheet")).to_be_visible()
    shot("chat-receipt")
    page.locator(".turn.user").hover()
    page.get_by_label("Edit").click()
    shot("chat-edit")


def chat_reasoning(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    behavior = thinking(
        split_tokens(THOUGHTS), split_tokens("After all that, the answer is **42**."), 0.002
    )
    page = _answered(sources, visit, behavior, "Think hard.")
    page.locator(".thoughts summary").click()
    shot("chat-reasoning")


def chat_stopped(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _send_prompt(sources, visit, endless(40), "Count.")
    expect(answer_text(page)).to_contain_text("word9")
    page.click("#send")
    wait_until_settled(page)
    shot("chat-stopped")


def chat_interrupted(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    behavior = interrupting("This much came, ", "and then the line was cut ")
    _answered(sources, visit, behavior, "Tell me everything.")
    shot("chat-interrupted")


def chat_error(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_chat(visit(sources.down), "single-00")
    ask(page, "Is anybody there?")
    expect(page.locator(".failure")).to_be_visible()
    shot("chat-error")
    open_page(page, "/?view=models")
    expect(page.locator("#gallery .notice")).to_be_visible()
    shot("all-down")


def chat_long_code(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    _answered(sources, visit, answering(*LONG_CODE.splitlines(keepends=True)), "Write sixty lines.")
    shot("chat-long-code")


def chat_diagram(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _answered(
        sources, visit, answering(*split_tokens(DIAGRAM)), "Draw how a request finds its model."
    )
    expect(page.locator(".diagram img")).to_be_visible()
    expect(page.locator(".diagram-error")).to_be_visible()
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, 0)")
    shot("chat-diagram")
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    shot("chat-diagram-error")


def chat_rtl_cjk(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _answered(sources, visit, answering(*SCRIPTS), "اكتب بثلاث لغات من فضلك")
    ask(page, "日本語でもう一度お願いします")
    shot("chat-rtl-cjk")


def history(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _answered(sources, visit, answering(SHORT), "Explain how a hash table works")
    store_chats(
        page,
        {"id": "Recipe: leek and potato soup", "texts": ["Soup for four"]},
        {"id": "A trip to Lisbon in a rather rainy week", "ago_days": 1},
        {"id": "خطة الرحلة", "ago_days": 3},
        {"id": "Tables and keys", "ago_days": 40, "texts": ["What is hashed, and how?"]},
    )
    if page.locator("#menu").is_visible():
        page.click("#menu")
    choose_chat_action(page, "Recipe: leek and potato soup", "Pin")
    choose_chat_action(page, "خطة الرحلة", "Move to folder")
    page.get_by_label("New folder").fill("Travel")
    page.keyboard.press("Enter")
    expect(page.locator("#history h2").first).to_have_text("Pinned")
    shot("history")
    page.locator(".history-row").nth(2).hover()
    page.locator(".history-row").nth(2).locator(".icon-btn").click()
    shot("history-menu")
    page.keyboard.press("Escape")
    page.fill("#chat-search", "hash")
    expect(page.locator("#history small")).to_be_visible()
    shot("history-search")
    page.click("#your-chats")
    expect(page.get_by_role("dialog").locator(".storage-meter")).to_be_visible()
    shot("your-chats")
    page.keyboard.press("Escape")
    page.click("#show-shortcuts")
    shot("shortcuts")


def answer_menu(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _answered(sources, visit, interrupting("This much came, ", "and then "), "Tell me all.")
    last_answer(page).get_by_label("More", exact=True).click()
    shot("answer-menu")
    page.get_by_role("menuitem", name="Regenerate with another model").click()
    expect(page.locator(".pop-models")).to_be_visible()
    _wait_for_pictures(page)
    shot("answer-another-model")
    page.keyboard.press("Escape")
    last_answer(page).get_by_label("More", exact=True).click()
    page.get_by_role("menuitem", name="Edit answer").click()
    shot("answer-edit")


def settings(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_chat(visit(sources.main), LLAMA)
    open_settings(page)
    shot("settings")
    page = open_chat(visit(sources.small), "eyes")
    open_settings(page)
    shot("settings-limited")


def context(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    gate = Gate()
    gate.open()
    sources.llama.set_behavior(
        answering_at_gate(gate, split_tokens("Yes, I have read it."))
    )  # it reports no counts
    page = open_chat(visit(sources.small), "small")
    for number in range(2):
        ask(page, f"Part {number}: " + "the quick brown fox jumps over the lazy dog. " * 12)
    page.fill("#message", "And what do you make of " + "all of this together? " * 20)
    expect(page.locator("#context-strip")).to_be_visible()
    page.locator("#scroller").evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    shot("context-left-out")
    page.click("#context")
    shot("context-sheet")


def files(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    sources.llama.set_behavior(answering("A teal rectangle, and the word is plum."))
    page = open_chat(visit(sources.small), "eyes")
    picture = io.BytesIO()
    Image.new("RGB", (640, 480), "teal").save(picture, "PNG")
    notes = file_payload("notes.md", b"The word is plum.", "text/markdown")
    shape = file_payload("shape.png", picture.getvalue(), "image/png")
    page.set_input_files("#file-input", [notes, shape])
    expect(page.locator("#files .chip-remove")).to_have_count(2)
    page.fill("#message", "What is in these?")
    shot("files")
    page.press("#message", "Enter")
    wait_until_settled(page, 1)
    shot("files-sent")


def prompts(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_chat(visit(sources.main), LLAMA)
    page.click("#prompts")
    expect(page.locator(".dialog-empty")).to_be_visible()
    shot("prompts-empty")
    page.get_by_role("button", name="New prompt").click()
    page.get_by_label("Name").fill("Translate")
    page.get_by_label("Prompt", exact=True).fill("Translate into {{language}}:\n\n{{text}}")
    shot("prompt-new")
    page.get_by_role("button", name="Save", exact=True).click()
    shot("prompts")
    page.locator(".prompt-use").click()
    shot("prompt-fields")


def no_endpoint(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.nothing))
    expect(page.locator(".notice").first).to_be_visible()
    shot("no-endpoint")


def config_errors(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.invalid), "/?view=models")
    expect(page.locator("#gallery .notice")).to_be_visible()
    _wait_for_pictures(page)
    shot("config-errors")


def embedded_unavailable(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.broken))
    expect(page.locator("[data-notices]:visible .notice")).to_contain_text("can't run here")
    shot("embedded-unavailable")


def embedded_fetching(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    progress = Progress(stage=Stage.FETCHING, done_bytes=38_000_000, total_bytes=92_871_040)
    with urlopen(f"{sources.main.url}/page/models") as response:
        view = json.load(response)
    small = "smollm2-135m-instruct"
    coming = {
        "id": small,
        "name": "SmolLM2 135M",
        "description": "A small demo model that runs on this computer.",
        "picture": _monogram(small, dark=False),
        "picture_dark": _monogram(small, dark=True),
        "state": "starting",
        "state_word": "Starting",
        "starters": [],
    }
    view["models"] = [{**view["models"][0], **coming}]
    view["notices"] = [notice_html(service_notices((), (), progress)[0])]
    page = visit(sources.main)
    page.route("**/page/models", lambda route: route.fulfill(json=view))
    open_page(page)
    expect(page.locator("[data-notices]:visible .progress")).to_be_visible()
    _wait_for_pictures(page)
    shot("embedded-fetching")


def checker(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    sources.llama.set_behavior(compliant("cr_lines"))
    page = open_page(visit(sources.main), "/?view=check")
    expect(page.locator("#check-cost")).to_contain_text("calls")
    shot("check")
    page.locator("#check-run").click()
    expect(page.locator("#check-count")).to_contain_text("passed")
    shot("check-done")


def compare(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.main), f"/?view=compare&with={LLAMA}&with={DEEPSEEK}")
    _wait_for_pictures(page)
    shot("compare-empty")
    sources.llama.set_behavior(answering(*split_tokens(SHORT), tokens_per_s=90))
    sources.deepseek[0].set_behavior(answering_at_gate(Gate(), split_tokens(SHORT[:180])))
    _compare(page, "Explain how a hash table works.")
    expect(page.locator(".lane-answer .answer-foot").first).to_be_attached()
    shot("compare-running")


def compare_answered(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = _compared(sources, visit)
    shot("compare-answered")
    page.click("#compare-diff")
    expect(page.locator(".diff")).to_be_visible()
    shot("compare-differences")
    page.keyboard.press("Escape")
    page.click('[data-vote="B"]')
    page.locator("#vote a").click()
    expect(page.locator(".standings")).to_be_visible()
    shot("ranking")


def compare_blind(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    _compared(sources, visit, blind=True)
    shot("compare-blind")


SET_PROMPTS: Final = """id,prompt,contains,max_length
capital,What is the capital of France? Answer in one sentence.,Paris,200
sort,Explain how merge sort works to someone who knows arrays and nothing else.,merge,
colors,"Name three colors, as JSON.",,40
haiku,"Write a haiku about a router that never sleeps, with a season word in it.",,
empty,Say nothing at all.,,
"""


def sets(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.main), "/?view=sets")
    expect(page.locator(".candidate")).to_have_count(2)
    expect(page.locator("#set-forecast")).to_contain_text("Enter prompts")
    shot("sets-empty")
    _set_file(page, "questions.csv", 'prompt,id\n"open,1\n')
    expect(page.locator("#set-errors")).to_be_visible()
    shot("sets-error")
    page.click("#set-clear")
    sources.llama.set_behavior(_answer_the_set)
    gate = Gate()
    sources.deepseek[0].set_behavior(answering_at_gate(gate, after=split_tokens(SHORT[:180])))
    _set_file(page, "questions.csv", SET_PROMPTS)
    page.locator(".candidate-head select").nth(0).select_option(LLAMA)
    page.locator(".candidate-head select").nth(1).select_option(DEEPSEEK)
    page.get_by_label("Duplicate this model").first.click()
    page.locator(".candidate").nth(1).get_by_label("Temperature", exact=True).fill("0")
    page.locator(".candidate").nth(1).get_by_label("System prompt").fill("Be brief.")
    expect(page.locator("#set-forecast")).to_contain_text("15 calls")
    page.click("#set-save")
    page.locator(".dialog-field").press("Enter")
    expect(page.locator("#set-saved li")).to_have_count(1)
    shot("sets-forecast")
    page.locator("#sets .view-scroll").evaluate("(node) => node.scrollTo(0, node.scrollHeight)")
    shot("sets-saved")
    page.click("#set-start")
    expect(page.locator("#run-text")).to_contain_text("10 of 15")
    shot("sets-running")
    gate.open()
    expect(page.locator("#run-text")).to_contain_text("done · 15 of 15")
    shot("sets-done")
    page.locator(".row-open").nth(1).click()
    expect(page.locator(".row-cell")).to_have_count(3)
    shot("sets-cell")


async def _answer_the_set(x: Exchange) -> None:
    """Answer each prompt of the set differently, and one with an error."""
    prompt = x.request.json["messages"][-1]["content"]
    answers = {"What": "The capital of France is **Paris**.", "Explain": RICH, "Say": "Nothing."}
    if prompt.startswith("Write"):
        await x.reply(b'{"error": {"message": "This prompt is not for me."}}', 400)
        return
    text = answers.get(prompt.split()[0], '```json\n["teal", "plum", "ochre", "sand"]\n```')
    await answering(*split_tokens(text), tokens_per_s=400)(x)


def _set_file(page: Page, name: str, text: str) -> None:
    page.set_input_files("#set-file", files=[file_payload(name, text.encode(), "text/csv")])


def selected(sources: ScreenSources, visit: Visit, shot: Shot) -> None:
    page = open_page(visit(sources.main), "/?view=models")
    for box in page.locator("[data-tick]").all()[:3]:
        box.check(force=True)
    _wait_for_pictures(page)
    shot("models-selected")


SCREENS_OF: Final = (
    compare,
    compare_answered,
    compare_blind,
    sets,
    selected,
    outline,
    models,
    models_200,
    panel,
    chat_empty,
    chat_waiting,
    chat_trying_another,
    chat_streaming,
    chat_answer,
    chat_reasoning,
    chat_stopped,
    chat_interrupted,
    chat_error,
    chat_long_code,
    chat_diagram,
    chat_rtl_cjk,
    history,
    answer_menu,
    settings,
    context,
    files,
    prompts,
    no_endpoint,
    config_errors,
    embedded_unavailable,
    embedded_fetching,
    checker,
)


def _compare(page: Page, text: str) -> None:
    page.fill("#compare-message", text)
    page.press("#compare-message", "Enter")


def _compared(sources: ScreenSources, visit: Visit, *, blind: bool = False) -> Page:
    """Open a comparison of three lanes that have answered, one of them with reasoning."""
    other = SHORT.replace("without looking", "with no need to look").replace("O(1)", "O(2)")
    sources.llama.set_behavior(answering(*split_tokens(SHORT), tokens_per_s=90))
    sources.deepseek[0].set_behavior(thinking(["Let me see."], split_tokens(other), 0.3))
    models = (LLAMA, DEEPSEEK, MAIN_MODELS[1])
    page = open_page(visit(sources.main), "/?view=compare" + "".join(f"&with={m}" for m in models))
    if blind:
        page.click("#compare-blind")
    _compare(page, "Explain how a hash table works to someone who knows arrays.")
    expect(page.locator("#vote")).to_be_visible()
    return page


def _send_prompt(sources: ScreenSources, visit: Visit, behavior: Behavior, text: str) -> Page:
    sources.llama.set_behavior(behavior)
    page = open_chat(visit(sources.main), LLAMA)
    send(page, text)
    return page


def _answered(sources: ScreenSources, visit: Visit, behavior: Behavior, text: str) -> Page:
    page = _send_prompt(sources, visit, behavior, text)
    wait_until_settled(page, 1)
    return page


def _monogram(model: str, *, dark: bool) -> str:
    thumbnails = Thumbnails(ROOT / "assets" / "thumbnails")
    picture = thumbnails.picture(ModelCard(id=model, name="SmolLM2 135M"), dark=dark)
    return f"data:{picture.media_type};base64,{base64.b64encode(picture.content).decode()}"


def _wait_for_pictures(page: Page) -> None:
    """Wait for every image in view."""
    page.wait_for_function(
        "[...document.images].filter((one) => one.checkVisibility() && "
        "one.getBoundingClientRect().top < innerHeight).every((one) => one.complete)"
    )


# ── pictures of the README ─────────────────────────────────────────────────────────


def take_docs(sources: ScreenSources) -> None:
    """Take docs/pictures/chat.png, models.png and compare.png, each at most 400 kB."""
    size: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}, "device_scale_factor": 2}
    context = sources.browser.new_context(
        base_url=sources.main.url, color_scheme="light", reduced_motion="reduce", **size
    )
    page = context.new_page()
    open_page(page, "/?view=models")
    expect(page.locator(".card").first).to_be_visible()
    _wait_for_pictures(page)
    _write(page, PICTURES / "models.png")
    sources.llama.set_behavior(answering(*split_tokens(SHORT), tokens_per_s=90))
    open_chat(page, LLAMA)
    ask(page, "Explain how a hash table works to someone who knows arrays.")
    page.locator(".receipt").hover()
    _write(page, PICTURES / "chat.png")
    _write(_compared(sources, lambda _app: page), PICTURES / "compare.png")
    context.close()


def _write(page: Page, path: Path) -> None:
    """Write a screenshot, with as many colors as fit the size limit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    for colors in (256, 128, 64):
        content = io.BytesIO()
        picture.quantize(colors, dither=Image.Dither.NONE).save(content, "PNG", optimize=True)
        if content.tell() <= MAX_PICTURE_BYTES:
            break
    path.write_bytes(content.getvalue())


def main(arguments: list[str]) -> int:
    """Take the pictures. Returns the exit status."""
    docs = "--docs" in arguments
    name_filter = next((argument for argument in arguments if not argument.startswith("-")), "")
    SCREENS.mkdir(parents=True, exist_ok=True)
    with open_browser() as browser, open_sources(browser, name_filter) as sources:
        if docs:
            take_docs(sources)
        else:
            take_all(sources)
            sys.stdout.write(f"{len(sources.taken)} pictures in {SCREENS}\n")
    return 0 if docs else _compare_with_golden(sources.taken, accepted="--accept" in arguments)


def _compare_with_golden(taken: list[Path], *, accepted: bool) -> int:
    """Compare with the golden pictures, or replace them. Returns the exit status."""
    if accepted:
        for path in taken:
            golden.accept(path)
        return 0
    differences = {path.name: golden.difference(path) for path in taken}
    changed = {
        name: share for name, share in differences.items() if share is None or share > TOLERANCE
    }
    for name, share in changed.items():
        fact = "has no golden picture" if share is None else f"{share:.1%} of it differs"
        sys.stdout.write(f"{name}: {fact}\n")
    return 1 if changed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
