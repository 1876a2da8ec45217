"""What a pretraining run must remember to be continued, and what it must find unchanged."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from configs.pretraining import PretrainingConfig
from lm_modules.data.packed import read_meta


def identity(config: PretrainingConfig, tokens: Path, tokenizer: Path, seed: int) -> dict[str, str]:
    """Return a fingerprint of everything that decides the result; a checkpoint of another one is refused.

    Left out is what changes speed and memory only: the compute section and how the batch is cut.
    """
    optimization = config.optimization.model_copy(update={"micro_batch_rows": None})
    return {
        "tokens": read_meta(tokens)["fingerprint"],
        "tokenizer": hashlib.sha256((tokenizer / "tokenizer.json").read_bytes()).hexdigest(),
        "model": _digest(config.model.model_dump_json()),
        "objective": _digest(config.objective.model_dump_json()),
        "optimization": _digest(optimization.model_dump_json()),
        "seed": str(seed),
    }


def refuse_other(checkpoint: Path, found: dict[str, str], expected: dict[str, str]) -> None:
    """Raise a ValueError that names the first difference and both fingerprints."""
    for name, value in expected.items():
        if found.get(name) != value:
            raise ValueError(
                f"{checkpoint} was trained with another {name} (fingerprint {found.get(name)}, now {value}); "
                f"continue with the same {name}, or begin anew in an empty work directory"
            )


def optimizer_tensors(network: nn.Module, optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the moments that the optimizers keep, as `<weight>.<moment>`; nothing before the first step."""
    return {
        f"{name}.{moment}": value
        for name, parameter in network.named_parameters()
        for optimizer in optimizers
        for moment, value in optimizer.state.get(parameter, {}).items()
    }


def restore_optimizers(
    network: nn.Module, optimizers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Put moments that `optimizer_tensors` gave back in their place."""
    parameters = dict(network.named_parameters())
    moved_by = {parameter: each for each in optimizers for group in each.param_groups for parameter in group["params"]}
    for key, value in tensors.items():
        name, _, moment = key.rpartition(".")
        parameter = parameters[name]
        moved_by[parameter].state[parameter][moment] = value


def restore_weights(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy weights by name; a missing or unknown name is an error."""
    network.load_state_dict(tensors, strict=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
