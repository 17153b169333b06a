"""ctxbench task: find needles in a haystack."""
