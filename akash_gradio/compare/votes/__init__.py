"""Votes and where they are stored."""
