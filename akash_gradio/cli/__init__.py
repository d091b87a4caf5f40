"""The `akash-gradio` command. Start reading at `main.py`; each subcommand has its own module.

It may import every other package.
"""
