"""Tell whether one segment follows another, beside finding hidden tokens (Devlin et al. 2018, section 3.1).

row       <end> a a a <sep> b b b          b follows a in its document, or comes from another row
labels    1 where it follows, 0 where it does not

The segments are told apart by the separator alone, since the stock architecture has no segment embeddings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from lm_modules.objectives import Batch, Objective
from lm_modules.objectives.masked_lm import MaskedLm

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.vocabulary import Vocabulary


class NextSentence(Objective):
    """Masked language modelling over pairs of segments, and whether the second follows the first."""

    model_config = ConfigDict(title="Masked language modelling with next sentence")

    kind: Literal["next_sentence"] = "next_sentence"
    """Find hidden tokens, and tell whether two segments belong together."""
    masked_lm: MaskedLm = MaskedLm()
    """How tokens are hidden."""
    next_sentence_weight: float = Field(default=1.0, gt=0)
    """Weight of the second question beside the first."""

    def row_length(self, context_length: int) -> int:
        """Return the context length without the two tokens that mark the segments."""
        return context_length - 2

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Cut every row in two; every second pair gets the other half of another row, a single row its own."""
        import torch

        num_rows, length = tokens_BL.shape
        half = length // 2
        shift = int(torch.randint(1, max(num_rows, 2), (), generator=generator))
        follows_B = torch.randperm(num_rows, generator=generator) % 2 == 0
        second_BL = torch.where(follows_B[:, None], tokens_BL[:, half:], tokens_BL.roll(shift, 0)[:, half:])
        begin_B1 = torch.full((num_rows, 1), vocabulary.end_of_text_id)
        between_B1 = torch.full((num_rows, 1), vocabulary.separator_id)
        pair_BL = torch.cat((begin_B1, tokens_BL[:, :half], between_B1, second_BL), dim=1)
        return self.masked_lm.corrupt(pair_BL, vocabulary, generator) | {"follows": follows_B.long()}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the encoder with a head on the first token."""
        from lm_modules.model.normalization import LayerNorm
        from lm_modules.model.pair_encoder import PairEncoder

        if batch_tokens < 2 * model.context_length:
            raise ValueError(
                f"next_sentence needs at least two rows in a batch; raise optimization.batch_tokens {batch_tokens} to "
                f"{2 * model.context_length}"
            )
        encoder: Any = self.masked_lm.network(model, vocabulary, batch_tokens)
        norm = LayerNorm(model.norm_epsilon) if model.encoder == "modernbert" else None
        return PairEncoder(encoder, model.width, norm)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return mean nats per chosen token, and per pair."""
        import torch.nn.functional as F

        hidden_BLD = network.encoder.hidden(batch["tokens"])
        return {
            "masked_lm": network.encoder.nats_of(hidden_BLD, batch["labels"]),
            "next_sentence": F.cross_entropy(network.answer_of(hidden_BLD).float(), batch["follows"]),
        }

    def num_scored(self, batch: Batch) -> dict[str, Tensor]:
        """Return chosen tokens and pairs."""
        import torch

        masked_lm = self.masked_lm.num_scored(batch)["loss"]
        return {"masked_lm": masked_lm, "next_sentence": torch.tensor(len(batch["follows"]))}

    def weights(self) -> dict[str, float]:
        """Return the weights of both questions."""
        return {"masked_lm": 1.0, "next_sentence": self.next_sentence_weight}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of the encoder, and of the answer to each pair."""
        from lm_modules.model.cost import readout_flops
        from lm_modules.model.pair_encoder import NUM_ANSWERS

        return self.masked_lm.training_flops(model, vocab_size) + readout_flops(model, model.width + NUM_ANSWERS, 1)

    def architecture(self, model: ModelConfig) -> str:
        """Return the encoder's with a second directory for the pair."""
        return f"{self.masked_lm.architecture(model)}_pair"
