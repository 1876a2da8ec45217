"""Low-rank adaptation: train a thin product beside each matrix instead of it (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from configs.tuning import Choice, Range
from lm_modules.adapters._peft import PeftAdapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Lora(PeftAdapter):
    """Train `scale x B A` beside every matrix of every block, and the head as it is.

    The paper adapts the attention's query and value only; all matrices of a block learn better at the same number of
    weights (Dettmers et al. 2023, arXiv 2305.14314, section 4). Merging adds the product to the matrix, so that the
    saved model is a stock one and costs nothing more to run.
    """

    kind: Literal["lora"] = "lora"
    rank: Annotated[int, Field(ge=1)] | Range | Choice = 16
    """Inner width of the product."""
    scale: Annotated[float, Field(gt=0)] | Range | Choice = 2.0
    """What the product is multiplied by (alpha / rank in the paper)."""
    directions_apart: bool = False
    """Learn length and direction of the matrices' columns apart (DoRA: Liu et al. 2024, arXiv 2402.09353): closer to
    full training at low ranks, and slower."""

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model wrapped by peft: its blocks frozen beside their products, what follows them trained."""
        from peft import LoraConfig

        from lm_modules.training.layers import after_blocks, block_matrices

        if not isinstance(self.rank, int) or not isinstance(self.scale, int | float):
            raise ValueError(f"rank {self.rank} and scale {self.scale} must be numbers; run a sweep over ranges")
        settings = LoraConfig(
            r=self.rank,
            lora_alpha=self.scale * self.rank,  # type: ignore[arg-type]  # any number serves
            use_dora=self.directions_apart,
            target_modules=block_matrices(model),
            modules_to_save=after_blocks(model),
        )
        return self.wrapped(model, settings)
