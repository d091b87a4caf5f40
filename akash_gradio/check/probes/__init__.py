"""The checker's probes, one module per family."""
