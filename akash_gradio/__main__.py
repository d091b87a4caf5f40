"""`python -m akash_gradio`: the `akash-gradio` command."""

from __future__ import annotations

import sys

from akash_gradio.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
