"""Scripts that :mod:`benchmarks.harness` runs in environments of their own: the same samples through other evaluation harnesses."""
