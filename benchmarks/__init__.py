"""What the figures in the documents come from. ``python -m benchmarks`` lists the commands."""
