"""ctxbench plots of stored results."""
