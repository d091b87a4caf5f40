"""The `akash-gradio` command."""
