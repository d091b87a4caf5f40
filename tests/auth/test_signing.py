from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from akash_gradio.auth.signing import SECRET_BYTES, stored_secret


def test_a_stored_secret_stays_and_no_other_user_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "data" / "signing-secret"
    secret = stored_secret(path)
    assert secret is not None
    assert len(secret) == SECRET_BYTES
    assert stored_secret(path) == secret
    assert path.stat().st_mode & 0o077 == 0
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_processes_that_start_together_share_one_secret(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        secrets = set(threads.map(lambda _n: stored_secret(tmp_path / "secret"), range(32)))
    assert len(secrets) == 1


def test_a_secret_that_cannot_be_stored_or_is_damaged_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert stored_secret(tmp_path / "file" / "secret") is None
    (tmp_path / "short").write_bytes(b"x")
    assert stored_secret(tmp_path / "short") is None
