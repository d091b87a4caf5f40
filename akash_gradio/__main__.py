"""`python -m akash_gradio serve [--no-ui] [--host HOST] [--port PORT]`."""

from __future__ import annotations

import os
import sys

from akash_gradio.serve import main

if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
