"""Reports of a run. `report.py` defines what goes into one; `factory.py` selects the writer.

May import what `akash_gradio.compare` may import.
"""
