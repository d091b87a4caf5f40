from __future__ import annotations

from akash_gradio.config.extras import missing_extras
from akash_gradio.config.settings import read_settings

SETTINGS = {"REDIS_URL": "redis://host:6379/0", "DATABASE_URL": "postgresql://u:pw@host/db"}


def test_a_setting_without_its_extra_names_what_to_install() -> None:
    settings = read_settings(SETTINGS, None)
    problems = [str(problem) for problem in missing_extras(settings, lambda _module: False)]
    assert problems == [
        'REDIS_URL: needs an extra: pip install "akash-gradio[redis]"; '
        "until then each replica has its own limits and sessions",
        'DATABASE_URL: needs an extra: pip install "akash-gradio[postgres]"; '
        "until then no vote is stored",
    ]


def test_an_installed_extra_is_no_problem() -> None:
    assert missing_extras(read_settings(SETTINGS, None)) == ()


def test_an_extra_that_no_setting_needs_is_no_problem() -> None:
    assert missing_extras(read_settings({}, None), lambda _module: False) == ()
