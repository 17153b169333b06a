"""Pages for models that learn to read: a whole number of codes in each square of 28 px. docs/codebook_aligned.md has the format."""
