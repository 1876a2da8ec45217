"""Where a stock model's blocks are, and what lies before and after them.

Registration order tells, for every architecture of `transformers`: embeddings, then the list of blocks, then the final
norm or pooler, then the head. Layer-wise learning rates, LoRA and dropout all start from this.
"""

from __future__ import annotations

from torch import nn


def blocks(model: nn.Module) -> tuple[str, nn.ModuleList]:
    """Return the list of blocks and its dotted name: the longest `ModuleList` of equal modules."""
    lists = [
        (name, module)
        for name, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len({type(each) for each in module}) == 1
    ]
    if not lists:
        raise ValueError(f"{type(model).__name__} has no list of blocks; fine-tune an architecture that has one")
    return max(lists, key=lambda each: sum(1 for _ in each[1].parameters()))


def depth_of_parameters(model: nn.Module) -> dict[str, int]:
    """Return the depth of every parameter: 0 before the blocks, 1..n in them, n + 1 after them."""
    name_of_blocks, list_of_blocks = blocks(model)
    depths, depth = {}, 0
    for name, _ in model.named_parameters():
        if name.startswith(f"{name_of_blocks}."):
            depth = int(name.removeprefix(f"{name_of_blocks}.").split(".")[0]) + 1
        elif depth:
            depth = len(list_of_blocks) + 1
        depths[name] = depth
    return depths


def block_matrices(model: nn.Module) -> list[str]:
    """Return the dotted names of the linear layers in the blocks (GPT-2's `Conv1D` is one)."""
    name_of_blocks, _ = blocks(model)
    return [
        name
        for name, module in model.named_modules()
        if name.startswith(f"{name_of_blocks}.")
        and (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D")
    ]


def after_blocks(model: nn.Module) -> list[str]:
    """Return the dotted names of the modules with weights that follow the blocks: final norm, pooler, head."""
    depths = depth_of_parameters(model)
    top = max(depths.values())
    return sorted({name.rpartition(".")[0] for name, depth in depths.items() if depth == top})
