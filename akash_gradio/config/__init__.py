"""Settings, endpoint and key lists, and their generated documentation."""
