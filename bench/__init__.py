"""The benchmarks: `make bench`. Figures and targets: bench/results.md."""
