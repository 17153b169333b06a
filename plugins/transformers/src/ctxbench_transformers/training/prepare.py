"""What a run needs, in two parts: everything that can be wrong is found before the weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from ctxbench import ModelError, UsageError
from ctxbench_transformers import sources
from ctxbench_transformers.data import Dataset, Split
from ctxbench_transformers.encoding import Encoder
from ctxbench_transformers.processors import load_processor
from ctxbench_transformers.runtime import make_runtime
from ctxbench_transformers.training import checkpoint as ckpt
from ctxbench_transformers.training.config import TrainConfig
from ctxbench_transformers.training.distributed import World
from ctxbench_transformers.training.evaluate import judges
from ctxbench_transformers.training.optimizer import check_optimizer, make_optimizers
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
        identity: the data, the base model and the number of processes; with the settings they decide the final weights.
    """

    config: TrainConfig
    world: World
    data: Dataset
    train: Split
    source: Path
    encoder: Encoder
    identity: dict[str, Any]

    @property
    def schedule(self) -> Schedule:
        """The plan of the steps."""
        lengths = np.array(self.train.lengths()) if self.config.group_by_length else None
        return Schedule(self.config, len(self.train), self.world.size, lengths)

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
    data = Dataset(config.data)
    train = data.split("train")
    if not len(train):
        raise UsageError(f"data: {data.folder} has no training records")
    if config.evaluate_every and not len(data.split("validation")):
        raise UsageError(f"evaluate_every: {data.folder} has no validation records; set it to 0, or make data with some")
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
    identity = {"data": data.fingerprint, "model": sources.model_fingerprint(source), "processes": world.size}
    return Prepared(config, world, data, train, source, encoder, identity)


def make_trainer(prepared: Prepared, state: ckpt.State, device: torch.device) -> Trainer:
    """Read the weights: a trainer with the base's, whatever the state's step."""
    config = prepared.config
    model = load_trainable(config, prepared.source, device)
    if config.fsdp:
        shard(base_of(model), prepared.world, device)
    parameters = trained_parameters(model)
    return Trainer(
        config=config,
        world=prepared.world,
        device=device,
        source=prepared.source,
        runtime=make_runtime(model, prepared.encoder, sources.token_family(prepared.source)),
        schedule=prepared.schedule,
        train=prepared.train,
        validation=prepared.data.split("validation"),
        judges=judges(prepared.data.manifest["primary_scores"]),
        parameters=parameters,
        optimizers=make_optimizers(config, parameters),
        scaler=torch.amp.GradScaler(device.type, INITIAL_SCALE, enabled=config.precision == "fp16"),
        checkpoints=prepared.checkpoints,
        state=state,
    )
