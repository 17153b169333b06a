"""The case study of docs/case-study.md: real documents through every carrier, and the page made of what came out."""
