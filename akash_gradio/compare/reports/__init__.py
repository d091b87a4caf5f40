"""Reports of a prompt set's run."""
