"""Sessions, sign-in, and API keys."""
