"""Low-rank adaptation: train a thin product beside each matrix instead of it (Hu et al. 2021, arXiv 2106.09685)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from configs.tuning import Choice, Range
from lm_modules.adapters import Adapter

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel


class Lora(Adapter):
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

    def apply(self, model: PreTrainedModel) -> nn.Module:
        """Return the model wrapped by peft: its blocks frozen beside their products, what follows them trained."""
        from peft import LoraConfig, get_peft_model

        from lm_modules.training.layers import after_blocks, block_matrices

        if not isinstance(self.rank, int) or not isinstance(self.scale, int | float):
            raise ValueError(f"rank {self.rank} and scale {self.scale} must be numbers; run a sweep over ranges")
        settings = LoraConfig(
            r=self.rank,
            lora_alpha=self.scale * self.rank,  # type: ignore[arg-type]  # any number serves
            target_modules=block_matrices(model),
            modules_to_save=after_blocks(model),
        )
        with warnings.catch_warnings():
            # peft 0.21 asks the model a question that transformers 5.23 has renamed
            warnings.filterwarnings(
                "ignore", message="`is_gradient_checkpointing` is deprecated", category=FutureWarning
            )
            return get_peft_model(model, settings)

    def merge(self, model: nn.Module) -> PreTrainedModel:
        """Return the stock model with the products added to its matrices."""
        return model.merge_and_unload()  # type: ignore[operator]
