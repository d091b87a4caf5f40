"""The endpoint that runs when none is configured: a real small model on this machine."""
