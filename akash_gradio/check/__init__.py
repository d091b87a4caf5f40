"""Checks whether an endpoint works with this app, and reports what to change if it doesn't.

Start reading at `runner.py`, which runs the probes. Each module in `probes/` evaluates what
`probe_client.py` received. `messages.py` holds the texts, `service.py` runs checks for the page,
and `cli/check.py` runs them in a terminal. `health_tracker.py` and `health_probe.py` follow the
health of running endpoints. The package may import gateway, catalog, config and domain.
"""
