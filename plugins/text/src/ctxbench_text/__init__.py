"""ctxbench codec: the context as it is."""
