"""The benchmarks. Start reading at `run.py` (`make bench`); results are in bench/results.md.

They may import anything of `akash_gradio`.
"""
