"""The models of the page: their descriptions, defaults and limits, and what endpoints serve.

Start reading at `loader.py`, which reads `models.toml`, and `listing.py`, which merges the catalog
with what the endpoints serve. The package may import config and domain.
"""
