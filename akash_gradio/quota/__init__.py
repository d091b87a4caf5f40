"""What one visitor, API key or day may use: rate limits, budgets and the waiting queue.

Start reading at `gateway.py`, which admits each chat request before the gateway answers it;
`admission.py` reserves what it may use of the daily budgets, and settles it at the end.
`limiter.py` has the rate limiter, `counters.py` and `redis_counters.py` what it counts in. It
may import the gateway, the settings and the domain.
"""
