"""Runs CPU work off the event loop, in worker processes that visitors share fairly.

Start with `pool.py`; `fair_queue.py` decides whose job is next, and `worker.py` is the program
that a worker runs. Imports `domain` only; the functions that it runs may be of any package.
"""
