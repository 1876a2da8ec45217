"""Where a stock model's blocks are, and what lies before and after them.

Registration order tells, for every architecture of `transformers`: embeddings, then the list of blocks, then the final
norm or pooler, then the head. An encoder-decoder has two lists, and the blocks of the decoder come after those of the
encoder. Layer-wise learning rates, LoRA and dropout all start from this.
"""

from __future__ import annotations

from typing import Any

from torch import nn


def blocks(model: nn.Module) -> dict[str, nn.Module]:
    """Return the blocks from the input up by their dotted names.

    They are those of the longest `ModuleList` of equal modules, of an encoder-decoder of the two longest.
    """
    lists = {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(each) for each in module}) == 1
    }
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of blocks; fine-tune an architecture that has one")
    lengths = {name: sum(1 for _ in module.parameters()) for name, module in lists.items() if not _inside(name, lists)}
    config: Any = getattr(model, "config", None)
    num_lists = 2 if getattr(config, "is_encoder_decoder", False) else 1
    chosen = sorted(lengths, key=lambda name: -lengths[name])[:num_lists]
    return {
        f"{name}.{place}": block
        for name in lists
        if name in chosen
        for place, block in enumerate(lists[name].children())
    }


def _inside(name: str, others: Any) -> bool:
    return any(name.startswith(f"{other}.") for other in others)


def depth_of_parameters(model: nn.Module) -> dict[str, int]:
    """Return the depth of every parameter: 0 before the blocks, 1..n in them, n + 1 after them.

    What stands between an encoder and a decoder belongs to the last block of the encoder.
    """
    names = list(blocks(model))
    depths, depth = {}, 0
    for name, _ in model.named_parameters():
        inside = [number for number, block in enumerate(names, start=1) if name.startswith(f"{block}.")]
        if inside:
            depth = inside[0]
        elif depth == len(names):
            depth += 1
        depths[name] = depth
    return depths


def block_matrices(model: nn.Module) -> list[str]:
    """Return the dotted names of the linear layers in the blocks (GPT-2's `Conv1D` is one)."""
    names = tuple(f"{name}." for name in blocks(model))
    return [
        name
        for name, module in model.named_modules()
        if name.startswith(names) and (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
    ]


def after_blocks(model: nn.Module) -> list[str]:
    """Return the dotted names of the modules with weights that follow the blocks: final norm, pooler, head."""
    depths = depth_of_parameters(model)
    top = max(depths.values())
    return sorted({name.rpartition(".")[0] for name, depth in depths.items() if depth == top})
