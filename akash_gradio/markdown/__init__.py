"""Renders markdown, math and code."""
