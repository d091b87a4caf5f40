"""Renders the markdown of answers as safe HTML, with math, code and diagrams.

Start with `renderer.py`: `render` for a complete text, `GrowingMarkdown` for one that is streamed.
`html.py` has the rules and the tags; `sanitize.py` escapes what comes from a model. Imports
`domain` only.
"""
