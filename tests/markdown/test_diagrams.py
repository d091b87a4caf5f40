from __future__ import annotations

from pathlib import Path

import gradio

from akash_gradio.markdown.diagrams import _script_in, mermaid_script
from akash_gradio.markdown.renderer import GrowingMarkdown, render

FENCE = "```mermaid\ngraph TD\nA-->B\n```\n"
FRONTEND = Path(gradio.__file__).parent / "templates" / "frontend"


def test_gradio_ships_the_library_that_draws_diagrams() -> None:
    assert mermaid_script().startswith("assets/mermaid.core-")
    script = (FRONTEND / mermaid_script()).read_text(encoding="utf-8")
    # The page's script needs a default export with these names.
    assert script.rstrip(";\n").endswith(" as default}")
    for name in ("render:", "initialize:", "securityLevel", "suppressErrorRendering"):
        assert name in script


def test_without_exactly_one_library_there_is_no_address(tmp_path: Path) -> None:
    assert _script_in(tmp_path) == ""
    assets = tmp_path / "templates" / "frontend" / "assets"
    assets.mkdir(parents=True)
    (assets / "mermaid.core-1.js").touch()
    assert _script_in(tmp_path) == "assets/mermaid.core-1.js"
    (assets / "mermaid.core-2.js").touch()
    assert _script_in(tmp_path) == ""


def test_a_complete_mermaid_block_is_marked_as_a_diagram() -> None:
    (block,) = render(FENCE)
    assert block.startswith('<ag-diagram><div class="code">')
    assert block.endswith("</div></ag-diagram>")
    assert "<ag-diagram>" in render(f"1. a\n\n   {FENCE.replace(chr(10), chr(10) + '   ')}")[0]


def test_an_incomplete_mermaid_block_and_other_code_are_code() -> None:
    assert "ag-diagram" not in render(FENCE.removesuffix("```\n"))[0]
    assert "ag-diagram" not in render(FENCE.replace("mermaid", "python"))[0]
    assert "ag-diagram" not in render("    mermaid")[0]


def test_a_growing_mermaid_block_is_marked_as_growing_until_it_is_complete() -> None:
    growing = GrowingMarkdown()
    shown: list[str] = []
    for chunk in ("```mermaid\n", "graph TD\n", "A-->B\n", "```", "\n\nText"):
        growing.add(chunk)
        patch = growing.patch()
        shown += patch.blocks if patch else ()
    assert [block.startswith("<ag-diagram data-growing>") for block in shown[:2]] == [True, True]
    assert any(block.startswith("<ag-diagram><div") for block in shown)
    last = growing.finish()
    assert last is None or "ag-diagram" not in "".join(last.blocks)
