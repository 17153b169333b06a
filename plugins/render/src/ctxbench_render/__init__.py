"""ctxbench codec: monospace pages."""
