"""Minimal pass-throughs and pages that the benchmarks compare with."""
