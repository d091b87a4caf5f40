"""Entry point of `make run` and of Spaces: serves the page, configured by the environment."""

from __future__ import annotations

import akash_gradio as ag
from akash_gradio.config.settings import read_settings

# A ZeroGPU Space is ended unless it finds a GPU function at startup; this one is never called.
try:
    import spaces
except ImportError:
    pass
else:

    @spaces.GPU  # type: ignore[untyped-decorator, unused-ignore] # only on a Space, without types
    def _unused() -> None:
        """Do nothing: no model runs on the Space's GPU."""


if __name__ == "__main__":
    ag.App.from_settings(read_settings()).launch(block=True)
