"""What a pretraining run must remember to be continued, and what it must find unchanged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from configs.pretraining import PretrainingConfig
from lm_modules.data.input_files import file_digest
from lm_modules.data.packed import CONCATENATE, PackedTokens, read_meta
from lm_modules.training.callbacks.reporting import Clock
from lm_modules.training.optimizers import bring_state_to_weights
from lm_modules.training.pretraining_module import PretrainingModule


def identity(
    config: PretrainingConfig, tokens: Path, tokenizer: Path, seed: int, base: str | None = None
) -> dict[str, str]:
    """Return a fingerprint of everything that decides the result; a checkpoint of another one is refused.

    Left out is what changes speed and memory only: the compute section and how the batch is cut. `base` is the digest
    of the model that the weights begin with.
    """
    optimization = config.optimization.model_copy(update={"micro_batch_rows": None})
    meta, streams = read_meta(tokens), config.objective.streams(config.model.context_length)
    sources = meta.get("sources") if any(stream.sources for stream in streams) else None
    packing = meta.get("packing", CONCATENATE)
    return {
        "tokens": meta["fingerprint"],
        **({"packing": _digest(json.dumps([packing, meta.get("rounds")]))} if packing != CONCATENATE else {}),
        **({"sources": _digest(json.dumps(sources))} if sources else {}),
        "tokenizer": file_digest(tokenizer / "tokenizer.json"),
        "model": _digest(config.model.model_dump_json()),
        "objective": _digest(config.objective.model_dump_json()),
        "optimization": _digest(optimization.model_dump_json()),
        "seed": str(seed),
        "base": "random weights" if base is None else f"{base}{' as it is' if config.as_it_is else ''}",
    }


def refuse_padding(config: PretrainingConfig, packed: PackedTokens) -> None:
    """Raise a ValueError if rows are padded and the objective, or a stock model of it, would read the padding."""
    as_it_is = config.as_it_is and config.objective.stock_class != "AutoModelForCausalLM"
    if packed.packing != CONCATENATE and (as_it_is or not config.objective.reads_padding):
        raise ValueError(
            f"tokenization.packing {packed.packing['kind']} fills rows up with padding, which "
            f"{config.objective.kind}{' of a stock model' * bool(as_it_is)} would read; set it to concatenate"
        )


def refuse_other_tokenizer(tokens: Path, tokenizer: Path) -> None:
    """Raise a ValueError if the tokens were not made by this tokenizer."""
    meta, digest = read_meta(tokens), file_digest(tokenizer / "tokenizer.json")
    if meta["tokenizer_digest"] in ("", digest):  # tokens that were packed by other means name none
        return
    content = json.loads((tokenizer / "tokenizer.json").read_text(encoding="utf-8"))
    size = len({*content["model"]["vocab"], *(each["content"] for each in content["added_tokens"])})
    raise ValueError(
        f"{tokens} has tokens of another tokenizer ({meta['vocab_size']} entries, digest {meta['tokenizer_digest']}) "
        f"than {tokenizer} ({size} entries, digest {digest}); pack the corpus again with this one, or take theirs"
    )


def refuse_other(checkpoint: Path, found: dict[str, str], expected: dict[str, str]) -> None:
    """Raise a ValueError that names the first difference and both fingerprints."""
    for name, value in expected.items():
        if found.get(name) != value:
            raise ValueError(
                f"{checkpoint} was trained with another {name} (fingerprint {found.get(name)}, now {value}); "
                f"continue with the same {name}, or begin anew in an empty work directory"
            )


def progress(module: PretrainingModule) -> dict[str, Any]:
    """Return what a run has come to beside its tensors, as JSON can hold it."""
    gradient_sum = module.gradient_sum
    return {
        "step": module.step,
        "steps": module.steps,
        "tokens_seen": module.tokens_seen,
        "num_skipped": module.num_skipped,
        "offending": module.offending,
        "left_out": sorted(module.left_out),
        "last_moved": module.last_moved,
        "seconds": module.clock.seconds,
        "recent_losses": list(module.recent_losses),
        "halved_micro_batch_rows": gradient_sum.micro_batch_rows if gradient_sum.was_halved else None,
    }


def restore_progress(module: PretrainingModule, state: dict[str, Any]) -> None:
    """Put what `progress` gave back in its place."""
    module.step, module.steps, module.tokens_seen = state["step"], state["steps"], state["tokens_seen"]
    module.num_skipped, module.last_moved = state["num_skipped"], state["last_moved"]
    module.offending, module.left_out = list(state["offending"]), set(state["left_out"])
    module.clock = Clock(state["seconds"])
    module.recent_losses.clear()
    module.recent_losses.extend(state["recent_losses"])
    module.gradient_sum.remember_halved(state.get("halved_micro_batch_rows"))


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
    """Put moments that `optimizer_tensors` gave back in the place of those that are there."""
    for optimizer in optimizers:
        optimizer.state.clear()
    parameters = dict(network.named_parameters())
    moved_by = {parameter: each for each in optimizers for group in each.param_groups for parameter in group["params"]}
    for key, value in tensors.items():
        name, _, moment = key.rpartition(".")
        parameter = parameters[name]
        # what was read is a map of the file, which would take up the disk for as long as it is used
        moved_by[parameter].state[parameter][moment] = value.clone()
    bring_state_to_weights(optimizers)


def restore_weights(network: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy weights by name; a missing or unknown name is an error."""
    network.load_state_dict(tensors, strict=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
