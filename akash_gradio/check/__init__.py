"""Whether an endpoint will serve, and what to change if not. Knows nothing of Gradio.

Begin at `run.py`, which runs the probes; each family of probes is a module of judges over
what `prober.py` saw.
"""
