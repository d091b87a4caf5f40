"""What stands between a stranger and the page: headers, sign-in, limits. Knows no Gradio.

Begin at `middleware.py`, through which every request of the page comes.
"""
