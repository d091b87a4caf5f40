"""Akash Gradio: open language models before people, from Python.

A Gradio page (models gallery, chat) on an in-process weighted router to any
OpenAI-compatible endpoints. Start reading at `app.py`, then `domain/`.
"""

__version__ = "0.1.0"
