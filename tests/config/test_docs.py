from __future__ import annotations

from pathlib import Path

import pytest

from akash_gradio.config.docs import (
    BEGIN,
    END,
    ENV_EXAMPLE,
    PAGE,
    SECTIONS,
    env_example,
    variables_table,
    with_table,
)
from akash_gradio.config.settings import read_settings, variables


def assignments() -> list[str]:
    names = tuple(f"# {name}=" for name in variables().values())
    return [
        line.removeprefix("# ") for line in env_example().splitlines() if line.startswith(names)
    ]


def test_the_example_file_is_up_to_date() -> None:
    assert ENV_EXAMPLE.read_text(encoding="utf-8") == env_example(), "run `make docs`"


def test_the_table_of_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page), "run `make docs`"


def test_every_variable_is_in_one_section() -> None:
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(variables().values())


def test_every_variable_is_documented_once() -> None:
    table = variables_table()
    names = [line.partition("=")[0] for line in assignments()]
    assert sorted(names) == sorted(variables().values())
    for name in names:
        assert table.count(f"| `{name}` | ") == 1
    for line in table.splitlines():
        assert not line.startswith("| `") or line.split("|")[2].strip().endswith(".")


def test_the_example_file_sets_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text(env_example(), encoding="utf-8")
    assert read_settings({}, path) == read_settings({}, None)


def test_the_values_in_the_example_file_are_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("\n".join(assignments()), encoding="utf-8")
    assert read_settings({}, path) == read_settings({}, None)


def test_the_table_replaces_what_is_between_the_marks() -> None:
    page = with_table(f"before\n{BEGIN} old {END}\nafter\n")
    assert page == f"before\n{variables_table()}\nafter\n"
    assert with_table(page) == page


@pytest.mark.parametrize("page", ["", "# Title\n", BEGIN, END, f"{END}\n{BEGIN}"])
def test_a_page_without_its_marks_raises(page: str) -> None:
    with pytest.raises(ValueError, match="lacks"):
        with_table(page)
