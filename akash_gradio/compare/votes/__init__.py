"""Votes on pairs of answers. `store.py` defines the protocol; `factory.py` opens a store.

May import what `akash_gradio.compare` may import; `postgres.py` needs the extra `postgres`.
"""
