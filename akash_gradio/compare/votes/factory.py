"""Opens the vote store that the settings select."""

from __future__ import annotations

from akash_gradio.compare.votes.postgres import PostgresVotes
from akash_gradio.compare.votes.sqlite import SqliteVotes
from akash_gradio.compare.votes.store import VoteStore
from akash_gradio.config.settings import Settings


def open_vote_store(settings: Settings) -> VoteStore | None:
    """Return the store: PostgreSQL with DATABASE_URL, SQLite with DATA_DIR.

    Connects to nothing yet.

    Returns:
        None with neither setting: browsers then keep their own votes.
    """
    if settings.database_url is not None:
        return PostgresVotes(settings.database_url.get_secret_value())
    if settings.data_dir is not None:
        return SqliteVotes(settings.data_dir / "votes.sqlite3")
    return None
