"""Make the weights of the model ``tiny`` from nothing: its data by ``ctxbench data build``, its weights by ``ctxbench train``.

    python corpus.py CACHE TEXTS             once: the real texts (see there)
    python make.py --texts TEXTS             everything, and then the packaged files; goes on where it stopped
    python make.py --texts TEXTS --only data.reading --only base     these parts; a training with what it needs must be there
    python make.py --texts TEXTS --share 0.1 --out FOLDER            a tenth of the steps and of the data, to see that all works

Data, checkpoints and logs go to --work (default: build/tiny in the working directory).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import yaml

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from tinytrain.tasks import TASKS  # noqa: E402

ADAPTERS = ("codebook", "codebook-dense")


@attrs.frozen
class Plan:
    """The parsed file, and where things go.

    Attributes:
        share: of the steps and of the records that are to be made.
        workers: processes that make data, and batches of a training.
    """

    parts: dict[str, Any]
    texts: Path
    work: Path
    out: Path
    share: float
    workers: int
    device: str

    def data(self, name: str) -> dict[str, Any]:
        """The config of some data."""
        config = dict(self.parts["data"][name])
        tasks = [dict(task) if isinstance(task, dict) else {"name": task} for task in config["tasks"]]
        for task in tasks:
            if "path" in task:
                task["path"] = task["path"].replace("TEXTS", str(self.texts))
        samples = max(8, round(config["samples"] * self.share))
        return config | {"name": f"tiny {name}", "tasks": tasks, "samples": samples, "output": str(self.data_folder(name))}

    def data_folder(self, name: str) -> Path:
        """Where some data are."""
        return self.work / "data" / name

    def training(self, name: str) -> dict[str, Any]:
        """The config of a training."""
        config = dict(self.parts["trainings"][name])
        where = {"START": self.work / "start", "BASE": self.out / "base"}
        model = config["model"]
        found = config | {
            "name": f"tiny {name}",
            "model": str(where.get(model, self.work / model)),
            "data": [str(self.data_folder(part)) for part in config["data"]],
            "output": str(self.work / name),
            "max_steps": max(4, self._steps(config["max_steps"])),
            "epochs": 0,
            "sampling": [self._timed(entry) for entry in config["sampling"]],
            "auxiliary": [self._timed(entry) for entry in config["auxiliary"]],
            "dataloader_num_workers": self.workers if self.device != "cpu" else None,
            "device": self.device,
        }
        return found | ({"answer_begin": self._steps(config["answer_begin"])} if "answer_begin" in config else {})

    def _steps(self, steps: int) -> int:
        return round(steps * self.share)

    def _timed(self, entry: dict[str, Any]) -> dict[str, Any]:
        timed = {key: self._steps(entry[key]) for key in ("begin", "end") if key in entry}
        return entry | timed | ({"data": [str(self.data_folder(part)) for part in entry["data"]]} if "data" in entry else {})


def make_data(plan: Plan, name: str) -> None:
    """Make some data, unless they are there."""
    from ctxbench_transformers import settings
    from ctxbench_transformers.data import DataConfig, build
    from ctxbench_transformers.data.folder import MANIFEST

    if not (plan.data_folder(name) / MANIFEST).is_file():
        build(settings.make(DataConfig, plan.data(name), f"data.{name}"), workers=plan.workers, overwrite=True, components=TASKS)


def train(plan: Plan, name: str) -> None:
    """Do a training, or what is left of it, and write the packaged files that come of it."""
    from tinytrain import export

    from ctxbench_transformers import settings
    from ctxbench_transformers.training.config import TrainConfig
    from ctxbench_transformers.training.loop import train as run

    output = plan.work / name
    if name == "reading" and not (plan.work / "start").is_dir():
        export.write_start(plan.work / "start", plan.parts["model"], seed=1)
    if not (output / "ctxbench_training.json").is_file():
        begun = any((output / "checkpoints").glob("*"))
        run(settings.make(TrainConfig, plan.training(name), f"trainings.{name}"), "latest" if begun else None)
    if name == "base":
        export.write_base(output, plan.out / "base", plan.parts["model"])
    elif name in ADAPTERS:
        export.write_adapter(output, plan.out / "adapters" / name)


def groups(names: list[str], *, together: bool) -> Iterator[list[str]]:
    """Trainings in order; with ``together``, those that need nothing of each other at once."""
    adapters = [name for name in names if name in ADAPTERS]
    yield from ([name] for name in names if name not in ADAPTERS)
    yield from ([adapters] if together and adapters else [[name] for name in adapters])


def run_all(plan: Plan, command: list[str], names: list[str], data: list[str], *, builds: int, together: bool) -> None:
    """Each part in a process of its own: data in their order beside the trainings, each of which waits for those that it needs."""
    began = time.monotonic()

    def part(name: str) -> None:
        start = time.monotonic()
        subprocess.run([*command, "--only", name], check=True)
        print(f"{name}: {time.monotonic() - start:.0f} s, ended after {time.monotonic() - began:.0f} s", flush=True)

    with ThreadPoolExecutor(builds) as making, ThreadPoolExecutor(2) as training:
        made: dict[str, Future[None]] = {name: making.submit(part, f"data.{name}") for name in data}
        try:
            for some in groups(names, together=together):
                for needed in (folder for name in some for folder in plan.parts["trainings"][name]["data"] if folder in made):
                    made[needed].result()
                for done in [training.submit(part, name) for name in some]:
                    done.result()
        finally:
            making.shutdown(wait=False, cancel_futures=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=Path, required=True, help="the folder that corpus.py made")
    parser.add_argument("--work", type=Path, default=Path("build/tiny"))
    parser.add_argument("--out", type=Path, help="folder of the packaged files (default: those of the package)")
    parser.add_argument("--only", action="append", help="a part of the file: data.NAME or the name of a training (may be repeated)")
    parser.add_argument("--share", type=float, default=1.0, help="of the steps and of the data")
    parser.add_argument("--workers", type=int, default=2, help="processes that make data, and on a GPU batches")
    parser.add_argument("--builds", type=int, default=1, help="data that are made at once, each by --workers")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--together", action="store_true", help="both adapters at once, on a GPU that has room for them")
    parser.add_argument("--config", type=Path, default=HERE / "tiny.yaml")
    args = parser.parse_args()
    from tinytrain.export import PACKAGED

    parts = yaml.safe_load(args.config.read_text("utf-8"))
    plan = Plan(parts, args.texts.absolute(), args.work, args.out or PACKAGED, args.share, args.workers, args.device)
    if args.only and len(args.only) == 1:
        kind, _, name = args.only[0].rpartition(".")
        (make_data if kind == "data" else train)(plan, name)
        return
    wanted = args.only or [*(f"data.{name}" for name in parts["data"]), *parts["trainings"]]
    names = [name for name in wanted if not name.startswith("data.")]
    data = [name.removeprefix("data.") for name in wanted if name.startswith("data.")]
    run_all(
        plan, [sys.executable, str(Path(__file__)), *_without_only(sys.argv[1:])], names, data, builds=args.builds, together=args.together
    )


def _without_only(given: list[str]) -> list[str]:
    """A command's arguments without --only."""
    kept, skip = [], False
    for argument in given:
        if not skip and argument != "--only" and not argument.startswith("--only="):
            kept.append(argument)
        skip = argument == "--only"
    return kept


if __name__ == "__main__":
    main()
