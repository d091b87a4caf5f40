"""The Gradio page: Blocks, theme and the settings' controls.

Start with `blocks.py`. The page's content is filled by its scripts through the routes of `web`;
this package imports templates and texts from `web`, and it alone imports Gradio.
"""
