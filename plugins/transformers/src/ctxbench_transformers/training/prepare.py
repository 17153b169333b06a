"""What a run needs, in two parts: everything that can be wrong is found before the weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from ctxbench import ModelError, UsageError, derive_seed
from ctxbench_transformers import sources
from ctxbench_transformers.data import Datasets, JoinedSplit, Split
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import make_runtime
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training import earlier, heads
from ctxbench_transformers.training.auxiliary import Parts, make_parts
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.evaluate import judges
from ctxbench_transformers.training.objective import Objective
from ctxbench_transformers.training.optimizer import check_optimizer, make_optimizers
from ctxbench_transformers.training.page_attention import attend_together
from ctxbench_transformers.training.sampling import check_phases, groups
from ctxbench_transformers.training.schedule import Schedule
from ctxbench_transformers.training.sharding import check_sharding, shard
from ctxbench_transformers.training.trainable import base_of, load_trainable, trained_parameters
from ctxbench_transformers.training.trainer import Trainer

INITIAL_SCALE = 2.0**16
"""Of the loss in float16: PyTorch's own."""


@attrs.frozen(eq=False)
class Prepared:
    """A run without its weights.

    Attributes:
        source: the base model's folder.
        adapter: the folder of the adapter that is trained further, if one is.
        identity: the data, the base model, the number of processes and the versions of parts; with the settings they decide the final
            weights.
        schedule: the plan of the steps.
        heads: those of auxiliary losses that the run begins with, if an earlier training left some.
    """

    config: TrainConfig
    world: World
    data: Datasets
    train: Split | JoinedSplit
    source: Path
    adapter: Path | None
    encoder: Encoder
    identity: dict[str, Any]
    schedule: Schedule
    parts: Parts
    heads: heads.Heads | None

    @property
    def notes(self) -> list[str]:
        """What there is to say: of records that no entry of ``sampling`` means, and of heads that go on."""
        left = self.schedule.records - self.schedule.examples
        said = [f"sampling: {left:,} of {self.schedule.records:,} training records are in no entry and are left out"] if left else []
        for i in self.heads.taken if self.heads is not None else ():
            said.append(f"auxiliary[{i}]: {self.config.auxiliary[i].loss} goes on with its head in {self.adapter or self.source}")
        return said

    @property
    def checkpoints(self) -> ckpt.Checkpoints:
        """Where this run keeps them."""
        return ckpt.Checkpoints(Path(self.config.output) / "checkpoints")


def prepare(config: TrainConfig, world: World, device: torch.device) -> Prepared:
    """Find the data and the base model, and try what has to be tried.

    Raises:
        CtxbenchError: one of them is missing or broken, or they do not fit together.
    """
    check_optimizer(config, device)
    check_sharding(config, world)
    parts = make_parts(config)
    data = Datasets(config.data)
    train = data.split("train")
    if not len(train):
        raise UsageError(f"data: {data} has no training records")
    if config.evaluate_every and not len(data.split("validation")):
        raise UsageError(f"evaluate_every: {data} has no validation records; set it to 0, or make data with some")
    source = sources.check_model(sources.locate(config.model, config.revision, code=config.trust_remote_code), config.model)
    encoder = Encoder(
        load_processor(
            source,
            min_pixels=config.min_pixels,
            max_pixels=config.max_pixels,
            chat_template=config.chat_template,
            trust_remote_code=config.trust_remote_code,
        )
    )
    if encoder.cross_attended:
        raise ModelError(f"{source}: models that see pages by cross attention can be read with, and not trained here")
    fingerprint = sources.model_fingerprint(source)
    identity: dict[str, Any] = {"data": data.fingerprint, "model": fingerprint, "processes": world.size}
    if parts.versions:
        identity["parts"] = parts.versions
    adapter = earlier.locate(config)
    if adapter is not None:
        identity["adapter"] = sources.adapter_fingerprint(adapter)
        identity["adapter_base"] = earlier.another_base(config, adapter, fingerprint)
        config = earlier.with_shape(config, adapter)
    kept = heads.find(adapter or source, config, parts.losses)
    if kept is not None:
        identity["heads"] = kept.fingerprint
    return Prepared(config, world, data, train, source, adapter, encoder, identity, make_schedule(config, train, world.size), parts, kept)


def make_schedule(config: TrainConfig, train: Split | JoinedSplit, world: int) -> Schedule:
    """The plan of a run over some records.

    Raises:
        ConfigError: ``sampling`` asks for records that are not there, or for none at some step.
    """
    lengths = np.array(train.lengths()) if config.group_by_length else None
    schedule = Schedule(config, len(train), world, lengths, groups(config, train))
    check_phases(config, schedule.steps)
    return schedule


def make_trainer(prepared: Prepared, state: ckpt.State, device: torch.device) -> Trainer:
    """Read the weights: a trainer with the base's, whatever the state's step."""
    config = prepared.config
    model = load_trainable(config, prepared.source, device, prepared.adapter)
    attend_together(model, config, device)
    if config.fsdp:
        shard(base_of(model), prepared.world, device)
    torch.manual_seed(derive_seed("heads", config.seed))
    parameters = trained_parameters(model) | prepared.parts.attach(base_of(model))
    if prepared.heads is not None:
        prepared.heads.load(parameters)
    return Trainer(
        config=config,
        world=prepared.world,
        device=device,
        source=prepared.source,
        adapter=prepared.adapter,
        runtime=make_runtime(model, prepared.encoder, sources.token_family(prepared.source)),
        schedule=prepared.schedule,
        train=prepared.train,
        validation=prepared.data.split("validation"),
        judges=judges(prepared.data.primary_scores),
        objective=Objective(config, prepared.parts),
        parameters=parameters,
        optimizers=make_optimizers(config, parameters),
        scaler=torch.amp.GradScaler(device.type, INITIAL_SCALE, enabled=config.precision == "fp16"),
        checkpoints=prepared.checkpoints,
        state=state,
    )
