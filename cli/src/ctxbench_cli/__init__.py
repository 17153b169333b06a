"""The ``ctxbench`` command line."""
