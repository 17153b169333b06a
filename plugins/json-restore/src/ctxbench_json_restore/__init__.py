"""ctxbench task: give a JSON document back."""
