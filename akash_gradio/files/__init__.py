"""Reads PDFs and pictures that visitors attach, in a child process with limits.

Start reading at `reader.py`; `child.py` is the program that it runs. May import `domain` and `work`
only.
"""
