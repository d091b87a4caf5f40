"""Rate limits, budgets, the waiting queue, and their counters."""
