"""ctxbench token counters: Qwen's tokenizer and the visual-token rules of model families."""
