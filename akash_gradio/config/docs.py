"""Writes `.env.example` and the README's table of variables from the settings class.

`python -m akash_gradio.config.docs`, or `make docs`. A test says when they differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from akash_gradio.config.messages import as_written
from akash_gradio.config.settings import Settings, variables

ROOT: Final = Path(__file__).resolve().parents[2]
BEGIN: Final = "<!-- variables: written by `make docs` -->"
END: Final = "<!-- end of variables -->"


def env_example() -> str:
    """The text of `.env.example`: every variable with what it does, none of them set."""
    parts = ["# Copy to .env and set what you need. Written by `make docs`.", ""]
    for name, default, says in _rows():
        parts += [f"# {says.replace('`', '')}", f"# {name}={default}", ""]
    return "\n".join(parts)


def readme_table() -> str:
    """The table between the README's two marks, the marks included."""
    lines = [BEGIN, "", "| variable | what it does | default |", "| --- | --- | --- |"]
    for name, default, says in _rows():
        shown = f"`{default}`" if default else ""
        lines.append(f"| `{name}` | {says.replace('|', chr(92) + '|')} | {shown} |")
    return "\n".join([*lines, "", END])


def with_table(readme: str) -> str:
    """The README with its table as it should be. Raises ValueError when a mark is missing."""
    head, _, rest = readme.partition(BEGIN)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"README.md lacks {BEGIN} or {END}")
    return head + readme_table() + tail


def _rows() -> list[tuple[str, str, str]]:
    fields = Settings.model_fields
    return [
        (name, as_written(fields[field].default), fields[field].description or "")
        for field, name in variables().items()
    ]


def main() -> None:
    """Rewrite both files."""
    (ROOT / ".env.example").write_text(env_example(), encoding="utf-8")
    readme = ROOT / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
