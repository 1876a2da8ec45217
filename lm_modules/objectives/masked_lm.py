"""Find the tokens that were hidden, reading both ways (Devlin et al. 2018, arXiv 1810.04805, section 3.1).

text     the  cat  sat  on   the  mat
inputs   the  cat  [M]  on   the  dog       15 % are chosen: of them 80 % hidden, 10 % replaced, 10 % left
labels    .    .   sat   .    .   mat
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from lm_modules.objectives import NOT_SCORED, Batch, Objective

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from configs.model import ModelConfig
    from lm_modules.data.rows import Rows
    from lm_modules.data.vocabulary import Vocabulary
    from lm_modules.model.transformer import Transformer

SHOWN_TOKENS = 64
"""Length of a sample during training."""


class MaskedLm(Objective):
    """Masked language modelling with the encoder."""

    model_config = ConfigDict(title="Masked language modelling")
    stock_class: ClassVar[str | None] = "AutoModelForMaskedLM"
    reads_padding: ClassVar[bool] = True

    kind: Literal["masked_lm"] = "masked_lm"
    """Find hidden tokens."""
    chosen_fraction: float = Field(default=0.15, gt=0, lt=1)
    """Part of the tokens that are to be found; 0.3 as in ModernBERT."""
    masked_fraction: float = Field(default=0.8, ge=0, le=1)
    """Part of the chosen that are hidden."""
    random_fraction: float = Field(default=0.1, ge=0, le=1)
    """Part of the chosen that are replaced by any token."""
    unchanged_fraction: float = Field(default=0.1, ge=0, le=1)
    """Part of the chosen that are left."""
    whole_words: bool = False
    """Choose words in place of tokens: all tokens of a word are hidden, replaced or left together. The fractions are
    then those of words."""

    @model_validator(mode="after")
    def _fractions_are_all(self) -> Self:
        total = self.masked_fraction + self.random_fraction + self.unchanged_fraction
        if abs(total - 1) > 1e-6:
            raise ValueError(
                f"masked_fraction, random_fraction and unchanged_fraction add up to {total:g}; they must to 1"
            )
        return self

    def row_length(self, context_length: int) -> int:
        """Return the context length."""
        return context_length

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Hide tokens; special ones are never chosen, nor put in place of others."""
        import torch

        special_N = torch.tensor(vocabulary.special_ids)
        choice_BL, fate_BL = (torch.rand(tokens_BL.shape, generator=generator) for _ in range(2))
        if self.whole_words:
            first_BL = _first_of_word(tokens_BL, vocabulary)
            choice_BL, fate_BL = choice_BL.gather(1, first_BL), fate_BL.gather(1, first_BL)
        chosen_BL = (choice_BL < self.chosen_fraction) & ~torch.isin(tokens_BL, special_N)
        ordinary_V = torch.ones(vocabulary.size, dtype=torch.bool).index_fill(0, special_N, False).nonzero()[:, 0]
        drawn_BL = ordinary_V[torch.randint(len(ordinary_V), tokens_BL.shape, generator=generator)]
        masked_BL = chosen_BL & (fate_BL < self.masked_fraction)
        random_BL = chosen_BL & ~masked_BL & (fate_BL < self.masked_fraction + self.random_fraction)
        inputs_BL = tokens_BL.masked_fill(masked_BL, vocabulary.mask_id)
        return {
            "tokens": torch.where(random_BL, drawn_BL, inputs_BL),
            "labels": tokens_BL.masked_fill(~chosen_BL, NOT_SCORED),
        }

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Do the same; text and padding, of which no token is chosen, do not read each other."""
        batch = self.corrupt(rows.tokens, vocabulary, generator)
        return batch if rows.text_lengths is None else batch | {"documents": rows.text().long()}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> Transformer:
        """Return the encoder."""
        from lm_modules.model.modernbert import build_modernbert
        from lm_modules.model.transformer import build_transformer

        scales = model.parametrization.scales(model, vocabulary.size, batch_tokens, causal=False)
        if model.encoder == "modernbert":
            return build_modernbert(model, vocabulary.size, scales)
        return build_transformer(model, vocabulary.size, scales, causal=False)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss": mean nats per chosen token}."""
        return {"loss": network.nats(batch["tokens"], batch["labels"], batch.get("documents"))}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of the layers, and of the readout of what is to be found."""
        from lm_modules.model.cost import layers_flops, readout_flops

        length = model.context_length
        before = model.width if model.encoder == "modernbert" else 0  # the matrix before its readout
        readout = readout_flops(model, before + vocab_size, self.chosen_fraction * length)
        return layers_flops(model, length, causal=False) + readout

    def write(
        self, network: Any, text_L: Tensor, vocabulary: Vocabulary, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Fill hidden tokens of the text with the likeliest."""
        import torch

        batch = self.corrupt(text_L[None, :SHOWN_TOKENS].cpu(), vocabulary, generator)
        given_L, hidden_L = batch["tokens"][0], batch["labels"][0] != NOT_SCORED
        likeliest_L = network(given_L[None].to(text_L.device))[0].argmax(dim=-1).cpu()
        return given_L, torch.where(hidden_L, likeliest_L, given_L)

    def architecture(self, model: ModelConfig) -> str:
        """Return EuroBERT, a Llama that reads both ways, or ModernBERT."""
        if model.query_key_norm:
            raise ValueError("no stock encoder norms queries and keys as ours does; set model.query_key_norm to false")
        if model.encoder == "modernbert" and model.num_key_value_heads != model.heads:
            raise ValueError(
                f"stock ModernBERT does not share key-value heads; leave model.key_value_heads "
                f"{model.key_value_heads} empty, or set model.encoder to eurobert"
            )
        if model.encoder == "eurobert" and model.sliding_window is not None:
            raise ValueError(
                f"stock EuroBERT has no local layers; leave model.sliding_window {model.sliding_window} empty, or set "
                "model.encoder to modernbert"
            )
        return model.encoder


def _first_of_word(tokens_BL: Tensor, vocabulary: Vocabulary) -> Tensor:
    from lm_modules.data.words import first_of_word

    if not vocabulary.word_parts:
        raise ValueError("whole_words needs a tokenizer.json that spells its tokens; set whole_words to false")
    return first_of_word(tokens_BL, vocabulary.word_parts)
