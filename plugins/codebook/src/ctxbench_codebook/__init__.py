"""ctxbench codec: a dense 2D colour code."""
