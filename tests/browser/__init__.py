"""The page, driven in a real browser against the real program."""
