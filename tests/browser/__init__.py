"""Tests of the page in a real browser against the running program.

Start reading in `actions.py` (what a visitor does), `servers.py` (the program) and `upstreams.py`
(stub endpoints).
"""
