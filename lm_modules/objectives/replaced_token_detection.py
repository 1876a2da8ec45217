"""Tell which tokens a small generator has replaced (ELECTRA, Clark et al. 2020, arXiv 2003.10555, section 2).

text           the  chef  cooked  the  meal
hidden         the  [M]   [M]     the  meal
generated      the  chef  ate     the  meal       drawn from what the generator finds likely
is replaced?   no   no    yes     no   no

The generator learns to find hidden tokens; the discriminator, which is kept, answers for every token.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lm_modules.objectives import Batch, Objective
from lm_modules.objectives.masked_lm import MaskedLm

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.rows import Rows
    from lm_modules.data.vocabulary import Vocabulary


class ReplacedTokenDetection(Objective):
    """A generator that is thrown away and a discriminator that is kept."""

    model_config = ConfigDict(title="Replaced token detection")
    reads_padding: ClassVar[bool] = True

    kind: Literal["replaced_token_detection"] = "replaced_token_detection"
    """Tell which tokens were replaced."""
    masked_lm: MaskedLm = MaskedLm(masked_fraction=1.0, random_fraction=0.0, unchanged_fraction=0.0)
    """How tokens are hidden from the generator."""
    generator_width_fraction: float = Field(default=0.25, gt=0, le=1)
    """Width of the generator as a part of the discriminator's, in whole heads."""
    discriminator_weight: float = Field(default=50.0, gt=0)
    """Weight of the discriminator's loss beside the generator's."""

    def row_length(self, context_length: int) -> int:
        """Return the context length."""
        return context_length

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Hide tokens, and draw the numbers by which the generator's replacements will be chosen."""
        import torch

        batch = self.masked_lm.corrupt(tokens_BL, vocabulary, generator)
        chance_BL = torch.rand(tokens_BL.shape, generator=generator)
        return batch | {"text": tokens_BL, "chance": chance_BL}

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Do the same; text and padding do not read each other."""
        batch = self.corrupt(rows.tokens, vocabulary, generator)
        return batch if rows.text_lengths is None else batch | {"documents": rows.text().long()}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return generator and discriminator."""
        from lm_modules.model.detector import Detector

        small = self._generator(model)
        generator, discriminator = (self.masked_lm.network(each, vocabulary, batch_tokens) for each in (small, model))
        return Detector(generator, discriminator, model.width)

    def _generator(self, model: ModelConfig) -> ModelConfig:
        """Return the shape of the generator beside a discriminator of this shape."""
        width = max(1, round(model.heads * self.generator_width_fraction)) * model.head_width
        return model.model_copy(update={"width": width, "key_value_heads": None, "feed_forward_width": None})

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return mean nats per hidden token (generator) and per token (discriminator)."""
        import torch.nn.functional as F

        documents_BL = batch.get("documents")
        hidden_BLD = network.generator.hidden(batch["tokens"], documents_BL)
        generated_BL = network.generate(hidden_BLD, batch["labels"], batch["text"], batch["chance"])
        replaced, answers = generated_BL != batch["text"], network(generated_BL, documents_BL)
        if documents_BL is not None:
            replaced, answers = replaced[documents_BL == 1], answers[documents_BL == 1]
        return {
            "generator": network.generator.nats_of(hidden_BLD, batch["labels"]),
            "discriminator": F.binary_cross_entropy_with_logits(answers.float(), replaced.float()),
        }

    def num_scored(self, batch: Batch) -> dict[str, Tensor]:
        """Return hidden tokens and all tokens that are no padding."""
        import torch

        hidden, documents_BL = self.masked_lm.num_scored(batch)["loss"], batch.get("documents")
        num_tokens = torch.tensor(batch["text"].numel()) if documents_BL is None else documents_BL.sum()
        return {"generator": hidden, "discriminator": num_tokens}

    def weights(self) -> dict[str, float]:
        """Return the weights of both."""
        return {"generator": 1.0, "discriminator": self.discriminator_weight}

    def guessing(self, vocab_size: int) -> dict[str, float]:
        """Return that of a token and that of a yes or no."""
        return super().guessing(vocab_size) | {"discriminator": math.log(2)}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of both, and of one more readout of the generator, forward, to draw from."""
        from lm_modules.model.cost import layers_flops, readout_flops

        small, length = self._generator(model), model.context_length
        generator = self.masked_lm.training_flops(small, vocab_size)
        drawing = readout_flops(small, vocab_size, self.masked_lm.chosen_fraction * length) / 3
        return generator + drawing + layers_flops(model, length, causal=False) + readout_flops(model, 1, length)

    def architecture(self, model: ModelConfig) -> str:
        """Return the encoder's that classifies tokens."""
        return f"{self.masked_lm.architecture(model)}_detector"
