"""ctxbench augmenters: clean, light, heavy and custom."""
