from __future__ import annotations

from pathlib import Path

import pytest

from akash_gradio.config.docs import BEGIN, END, ROOT, env_example, readme_table, with_table
from akash_gradio.config.settings import read_settings, variables


def assignments() -> list[str]:
    names = tuple(f"# {name}=" for name in variables().values())
    return [
        line.removeprefix("# ") for line in env_example().splitlines() if line.startswith(names)
    ]


def test_the_example_file_is_what_the_settings_say() -> None:
    written = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert written == env_example(), "run `make docs`"


def test_the_readmes_table_is_what_the_settings_say() -> None:
    written = (ROOT / "README.md").read_text(encoding="utf-8")
    assert written == with_table(written), "run `make docs`"


def test_every_variable_is_documented_once() -> None:
    names = list(variables().values())
    assert [line.partition("=")[0] for line in assignments()] == names
    for name in names:
        assert readme_table().count(f"| `{name}` | ") == 1
    for line in readme_table().splitlines():
        assert not line.startswith("| `") or line.split("|")[2].strip()


def test_the_example_file_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(env_example(), encoding="utf-8")
    assert read_settings({}, path) == read_settings({}, None)


def test_the_values_in_the_example_file_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("\n".join(assignments()), encoding="utf-8")
    assert read_settings({}, path) == read_settings({}, None)


def test_the_table_is_put_between_its_marks_and_nowhere_else() -> None:
    written = with_table(f"before\n{BEGIN} old {END}\nafter\n")
    assert written == f"before\n{readme_table()}\nafter\n"
    assert with_table(written) == written


@pytest.mark.parametrize("readme", ["", "# Title\n", BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_readme_without_its_marks_is_told(readme: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_table(readme)
