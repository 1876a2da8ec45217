"""Tell whether one segment follows another, beside finding hidden tokens (Devlin et al. 2018, section 3.1).

tokens    <end> a a a <sep> b b b <pad> <pad>      a: a document of the row; b: what follows, or another document
segments    0   0 0 0   0   1 1 1  -1    -1
follows   1 where b follows a in its document, 0 where it is of another, -100 where the batch has no other

The longest stretch of one document in a row is cut in the middle. Which of the two second segments a pair gets is
drawn last, and both are cut to the shorter, so that lengths give nothing away. BERT draws the second segment from the
whole corpus; here it is that of another row of the batch, as it must follow from the step alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lm_modules.data.rows import Rows, Stream
from lm_modules.objectives import NOT_SCORED, Batch, Objective
from lm_modules.objectives.masked_lm import MaskedLm

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.vocabulary import Vocabulary

NO_SEGMENT = -1
"""The segment of what fills a row up behind its pair."""


class NextSentence(Objective):
    """Masked language modelling over pairs of segments, and whether the second follows the first."""

    model_config = ConfigDict(title="Masked language modelling with next sentence")
    holds: ClassVar[Mapping[str, str]] = {"masked_lm": "encoder"}
    reads_padding: ClassVar[bool] = True

    kind: Literal["next_sentence"] = "next_sentence"
    """Find hidden tokens, and tell whether two segments belong together."""
    masked_lm: MaskedLm = MaskedLm()
    """How tokens are hidden."""
    next_sentence_weight: float = Field(default=1.0, gt=0)
    """Weight of the second question beside the first."""

    def row_length(self, context_length: int) -> int:
        """Return the context length without the two tokens that mark the segments."""
        return context_length - 2

    def streams(self, context_length: int) -> tuple[Stream, ...]:
        """Return all text, with the documents that it is of."""
        return (Stream(self.row_length(context_length), self.overlap, by_document=True),)

    def fewest_rows(self) -> int:
        """Return two: a row and another that its second segment may come from."""
        return 2

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Make pairs of rows of which no two have a document in common."""
        return self.corrupt_rows(Rows.unrelated(tokens_BL, vocabulary.end_of_text_id), vocabulary, generator)

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Make pairs, half of them of segments that follow each other, and hide tokens in them."""
        import torch

        num_rows, length = rows.tokens.shape
        assert rows.documents is not None  # its stream asks for them
        starts_B, lengths_B, documents_B = _longest_texts(rows.tokens, rows.documents, vocabulary.end_of_text_id)
        first_B, second_B = lengths_B // 2, lengths_B - lengths_B // 2
        partners_B, found_B = _partners(documents_B, lengths_B, generator)
        follows_B = _half(found_B, generator)
        second_B = torch.where(found_B, torch.minimum(second_B, second_B[partners_B]), second_B)
        from_B = torch.where(follows_B == 0, partners_B, torch.arange(num_rows))
        begin_B = (starts_B + first_B)[from_B]

        place_BL = torch.arange(length + 2).expand(num_rows, -1)
        behind_BL = place_BL - first_B[:, None] - 2
        own_BL = rows.tokens.gather(1, (starts_B[:, None] + place_BL - 1).clamp(0, length - 1))
        other_BL = rows.tokens[from_B].gather(1, (begin_B[:, None] + behind_BL).clamp(0, length - 1))
        segments_BL = (behind_BL >= 0).long().masked_fill(behind_BL >= second_B[:, None], NO_SEGMENT)
        pair_BL = torch.where(segments_BL == 1, other_BL, own_BL)
        pair_BL = pair_BL.masked_fill(place_BL == 0, vocabulary.end_of_text_id)
        pair_BL = pair_BL.masked_fill(behind_BL == -1, vocabulary.separator_id)
        pair_BL = pair_BL.masked_fill(segments_BL == NO_SEGMENT, vocabulary.pad_id)
        hidden = self.masked_lm.corrupt(pair_BL, vocabulary, generator)
        return hidden | {"segments": segments_BL, "follows": follows_B}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the encoder with a head on the first token."""
        from lm_modules.model.normalization import LayerNorm
        from lm_modules.model.pair_encoder import PairEncoder

        encoder: Any = self.masked_lm.network(model, vocabulary, batch_tokens)
        norm = LayerNorm(model.norm_epsilon) if model.encoder == "modernbert" else None
        return PairEncoder(encoder, model.width, norm)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return mean nats per chosen token, and per pair; what is behind a pair is not read."""
        hidden_BLD = network.encoder.hidden(batch["tokens"], (batch["segments"] != NO_SEGMENT).long())
        return {
            "masked_lm": network.encoder.nats_of(hidden_BLD, batch["labels"]),
            "next_sentence": network.nats_of(hidden_BLD, batch["follows"]),
        }

    def num_scored(self, batch: Batch) -> dict[str, Tensor]:
        """Return chosen tokens and pairs that are asked for."""
        masked_lm = self.masked_lm.num_scored(batch)["loss"]
        return {"masked_lm": masked_lm, "next_sentence": (batch["follows"] != NOT_SCORED).sum()}

    def weights(self) -> dict[str, float]:
        """Return the weights of both questions."""
        return {"masked_lm": 1.0, "next_sentence": self.next_sentence_weight}

    def guessing(self, vocab_size: int) -> dict[str, float]:
        """Return that of a token and that of a yes or no."""
        return super().guessing(vocab_size) | {"next_sentence": math.log(2)}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of the encoder, and of the answer to each pair."""
        from lm_modules.model.cost import readout_flops
        from lm_modules.model.pair_encoder import NUM_ANSWERS

        return self.masked_lm.training_flops(model, vocab_size) + readout_flops(model, model.width + NUM_ANSWERS, 1)

    def architecture(self, model: ModelConfig) -> str:
        """Return the encoder's with a second directory for the pair."""
        return f"{self.masked_lm.architecture(model)}_pair"


def _longest_texts(tokens_BL: Tensor, documents_BL: Tensor, end_of_text_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return where the longest stretch of one document begins in each row, its length, and the document: [batch] each.

    The end-of-text token belongs to no stretch; of equally long ones the first is taken.
    """
    import torch

    text_BL = tokens_BL != end_of_text_id
    length = tokens_BL.shape[1]
    place_L = torch.arange(length)
    other_BL = torch.ones_like(text_BL)
    other_BL[:, 1:] = (documents_BL[:, 1:] != documents_BL[:, :-1]) | ~text_BL[:, :-1]
    begin_BL = torch.where(other_BL, place_L, 0).cummax(dim=1).values
    so_far_BL = (place_L - begin_BL + 1) * text_BL
    lengths_B, ends_B = so_far_BL.max(dim=1)
    starts_B = begin_BL.gather(1, ends_B[:, None])[:, 0]
    return starts_B, lengths_B, documents_BL.gather(1, starts_B[:, None])[:, 0]


def _partners(documents_B: Tensor, lengths_B: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return for each row another at random whose stretch is of another document, and whether there is one.

    Stretches of less than two tokens cannot be cut, and have no partner nor are one.
    """
    import torch

    usable_B = lengths_B > 1
    fits_BB = (documents_B[:, None] != documents_B) & usable_B & usable_B[:, None]
    drawn_BB = torch.rand(fits_BB.shape, generator=generator).masked_fill(~fits_BB, -1.0)
    chance_B, partners_B = drawn_BB.max(dim=1)
    return partners_B, chance_B >= 0


def _half(found_B: Tensor, generator: torch.Generator) -> Tensor:
    """Return 1 for half of the rows with a partner and 0 for the other half, -100 for those without.

    Of an odd number, the last one is drawn.
    """
    import torch

    order_B = torch.rand(len(found_B), generator=generator).masked_fill(~found_B, 2.0).argsort().argsort()
    coin = torch.randint(2, (), generator=generator)
    return ((order_B + coin) % 2).masked_fill(~found_B, NOT_SCORED)
