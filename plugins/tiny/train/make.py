"""Make the weights of the model ``tiny``.

    python make.py                       every stage, then the packaged files
    python make.py --stage reading       one stage; goes on from its checkpoint if there is one
    python make.py --export              the packaged files from finished checkpoints

Checkpoints and logs go to --work (default: build/tiny in the working directory).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from tinytrain.stages import load_stages, make_trainer  # noqa: E402


def train(config: dict[str, object], name: str, work: Path, until: int | None) -> None:
    """Run a stage, from its checkpoint if there is one."""
    trainer = make_trainer(config, name, work)
    print(f"stage {name}: {sum(v.numel() for v in trainer.trainable().values()):,} trainable parameters", flush=True)
    trainer.run(work / f"{name}.pt", work / f"{name}.csv", lambda line: print(line, flush=True), until)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", action="append", help="train this stage only (may be repeated)")
    parser.add_argument("--until", type=int, help="stop at this step")
    parser.add_argument("--export", action="store_true", help="write the packaged files and nothing else")
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--stages", type=Path, default=HERE / "stages.yaml")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_stages(args.stages)
    if not args.export:
        for name in args.stage or config["stages"]:
            train(config, name, args.work, args.until)
    if args.export or not args.stage:
        from tinytrain.export import export

        export(config, args.work)


if __name__ == "__main__":
    main()
