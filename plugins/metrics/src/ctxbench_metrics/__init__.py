"""ctxbench metrics: exact match, structural F1, hit@1, character error rate."""
