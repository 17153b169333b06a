"""``torchrun --nproc-per-node N -m ctxbench_transformers.training CONFIG``: the command ``ctxbench train`` for a launcher."""

import sys

from ctxbench_cli.main import main

if __name__ == "__main__":
    sys.argv[1:1] = ["train"]
    main()
