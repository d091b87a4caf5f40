"""The checker's probes, one module per family; `registry.py` lists them all.

A module defines `OBSERVATIONS` (the requests to send) and `PROBES` (functions that evaluate the
responses). It may import the other modules of `akash_gradio.check` except `runner` and `service`.
"""
