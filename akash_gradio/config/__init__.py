"""Reads the settings from the environment and `.env`, and generates their documentation.

Start reading at `settings.py`. It may import `domain`.
"""
