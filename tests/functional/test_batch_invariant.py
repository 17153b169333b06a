"""``--batch-invariant``: every model that forms batches answers alone, or the command says that it cannot see to it."""

from __future__ import annotations

import pytest

from ctxbench.config import make_config
from ctxbench.errors import UsageError
from ctxbench_cli.commands.run import batch_invariant


def test_models_with_the_option_get_it_and_instant_ones_are_left_alone() -> None:
    """The option is part of the trial id, so a stored answer from a batch is not taken for one of these."""
    config = batch_invariant(make_config({"models": ["channel", {"name": "tiny", "label": "t", "dtype": "bfloat16"}]}))
    assert [model.options for model in config.models] == [{}, {"dtype": "bfloat16", "batch_invariant": True}]
    assert [model.label for model in config.models] == ["channel", "t"]


def test_a_model_whose_batches_are_formed_elsewhere_is_refused() -> None:
    """A server's batches are not ours to form: the promise cannot be kept."""
    config = make_config({"models": [{"name": "openai:some-model", "base_url": "http://127.0.0.1:9/v1"}]})
    with pytest.raises(UsageError, match=r"--batch-invariant: model 'openai:some-model' has no such option"):
        batch_invariant(config)
