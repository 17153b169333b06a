"""Training and reading at the real size of Qwen2-VL-2B, on a GPU."""
