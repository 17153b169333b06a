"""How the weights of ctxbench-tiny are made."""
