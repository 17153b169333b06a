"""Make the weights of the model ``tiny``.

    python make.py                       every stage, then the packaged files
    python make.py --stage reading       one stage; goes on from its checkpoint if there is one
    python make.py --export              the packaged files from finished checkpoints
    python make.py --stage reading --measure 50   what the stage's checkpoint reads: exact answers of 50 fresh examples a length
    python make.py --curves FILE.csv     learning curves of all stages' logs
    python make.py --records FILE.csv    from such curves, what the packaged weights were trained on, beside them (half an hour)

Checkpoints and logs go to --work (default: build/tiny in the working directory).
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from tinytrain.curves import write as write_curves  # noqa: E402
from tinytrain.stages import load_stages, make_trainer  # noqa: E402


def train(config: dict[str, Any], name: str, work: Path, until: int | None) -> None:
    """Run a stage, from its checkpoint if there is one."""
    trainer = make_trainer(config, name, work, begun=(work / f"{name}.pt").is_file())
    print(f"stage {name}: {sum(v.numel() for v in trainer.trainable().values()):,} trainable parameters", flush=True)
    trainer.run(work / f"{name}.pt", work / f"{name}.csv", lambda line: print(line, flush=True), until)


def measure(config: dict[str, Any], name: str, work: Path, samples: int) -> None:
    """Print the share of exactly right greedy answers of a stage's checkpoint, by track and length."""
    from tinytrain import evaluate

    trainer = make_trainer(config, name, work, begun=True)
    trainer.restore(work / f"{name}.pt")
    for track in trainer.tracks:
        for row in evaluate.measure(trainer.model, [track], samples):
            print(f"{row['track']:16} {row['length']:5} {row['exact']:7.1%} of {samples}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", action="append", help="train this stage only (may be repeated)")
    parser.add_argument("--until", type=int, help="stop at this step")
    parser.add_argument("--export", action="store_true", help="write the packaged files and nothing else")
    parser.add_argument("--measure", type=int, metavar="SAMPLES", help="train nothing; generate answers and count those that are exact")
    parser.add_argument("--curves", type=Path, metavar="FILE", help="train nothing; write the learning curves")
    parser.add_argument("--records", type=Path, metavar="CURVES", help="train nothing; write what the packaged weights were trained on")
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--stages", type=Path, default=HERE / "stages.yaml")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    config = load_stages(args.stages)
    names = args.stage or list(config["stages"])
    if args.curves:
        write_curves([log for name in names if (log := args.work / f"{name}.csv").is_file()], args.curves)
        return
    if args.records:
        from tinytrain.export import PACKAGED
        from tinytrain.record import write_records

        for path in write_records(config, args.records, PACKAGED, lambda line: print(line, flush=True)):
            print(f"wrote {path}")
        return
    if args.measure:
        for name in names:
            measure(config, name, args.work, args.measure)
        return
    if not args.export:
        for name in names:
            train(config, name, args.work, args.until)
    if args.export or not args.stage:
        from tinytrain.export import export

        for folder in export(config, args.work, args.stage):
            print(f"wrote {folder}")
        print("next, the records of what they were trained on: --curves FILE, then --records FILE")


if __name__ == "__main__":
    main()
