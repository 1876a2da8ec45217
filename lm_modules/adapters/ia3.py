"""Learned factors for keys, values and the inside of the feed-forward (Liu et al. 2022, arXiv 2205.05638)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lm_modules.adapters._peft import PeftAdapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

KEYS_AND_VALUES = ("k_proj", "v_proj", "key", "value", "k", "v", "key_proj", "value_proj", "k_lin", "v_lin")
FUSED = ("c_attn", "query_key_value", "qkv_proj", "Wqkv", "in_proj")
"""One matrix for queries, keys and values: its outputs all get factors, as peft has it for GPT-2."""


class Ia3(PeftAdapter):
    """Train one factor for each key, value and inner activation of every block, and the head as it is.

    The fewest weights of all adapters, hundreds of times fewer than `lora`; it wants a learning rate ten times as high
    (the paper takes 3e-3). Merging multiplies the factors into the matrices.
    """

    kind: Literal["ia3"] = "ia3"

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model wrapped by peft: its blocks frozen but for the factors, what follows them trained."""
        from peft import IA3Config

        from lm_modules.training.layers import after_blocks, block_matrices

        matrices = block_matrices(model)
        modules = dict(model.named_modules())
        attention = [name for name in matrices if name.rpartition(".")[2] in (*KEYS_AND_VALUES, *FUSED)]
        # what leads out of an attention narrows too, where heads are few or wide
        inward = [name for name in matrices if "att" not in name.lower() and _narrows(modules[name])]
        if not attention or not inward:
            raise ValueError(f"ia3 finds no keys and values, or no feed-forward, in {type(model).__name__}; take lora")
        settings = IA3Config(
            target_modules=attention + inward, feedforward_modules=inward, modules_to_save=after_blocks(model)
        )
        return self.wrapped(model, settings)


def _narrows(matrix: nn.Module) -> bool:
    """Return whether a matrix leads from the inside of a feed-forward back to the width of the model."""
    weight: Any = matrix.weight
    first, last = weight.shape
    inputs_first = type(matrix).__name__ == "Conv1D"  # GPT-2's
    return first > last if inputs_first else last > first
