"""Write the spans that were taken out (Raffel et al. 2020, arXiv 1910.10683, section 3.1.4).

text      thank you for inviting me to your party last week
source    thank you <0> me to your party <1> week <end>
target    <0> for inviting <1> last <end>

Every row loses the same number of tokens in the same number of spans, so no row is padded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from lm_modules.objectives import Batch, Objective

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.vocabulary import Vocabulary


SHOWN_TOKENS = 64
"""How much of a text a sample during training is made of."""


class SpanDenoising(Objective):
    """Span corruption with the encoder-decoder."""

    model_config = ConfigDict(title="Span denoising")
    stock_class: ClassVar[str | None] = "AutoModelForSeq2SeqLM"

    kind: Literal["span_denoising"] = "span_denoising"
    """Write the spans that were taken out."""
    noise_fraction: float = Field(default=0.15, gt=0, lt=1)
    """Part of the tokens that are taken out; 0.3 in BART's text infilling."""
    mean_span: float = Field(default=3.0, ge=1)
    """Mean length of a span in tokens."""
    whole_text: bool = False
    """Write the whole text, as BART does (Lewis et al. 2019, arXiv 1910.13461), in place of the spans alone."""

    def row_length(self, context_length: int) -> int:
        """Return the longest row whose source, and whose target, fit into the context."""
        length = context_length
        while max(self._source_length(length + 1), self._target_length(length + 1)) <= context_length:
            length += 1
        while max(self._source_length(length), self._target_length(length)) > context_length:
            length -= 1
        return length

    def _counts(self, length: int) -> tuple[int, int]:
        """Return how many tokens are taken out of a row, and in how many spans."""
        num_noise = min(max(round(length * self.noise_fraction), 1), length - 1)
        num_spans = min(max(round(num_noise / self.mean_span), 1), num_noise, length - num_noise)
        return num_noise, num_spans

    def _source_length(self, length: int) -> int:
        num_noise, num_spans = self._counts(length)
        return length - num_noise + num_spans + 1

    def _target_length(self, length: int) -> int:
        num_noise, num_spans = self._counts(length)
        return length + 1 if self.whole_text else num_noise + num_spans + 1

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Take spans out; a row begins with a span that stays."""
        import torch

        num_rows, length = tokens_BL.shape
        num_noise, num_spans = self._counts(length)
        sentinels_N = torch.tensor(vocabulary.sentinel_ids(num_spans, or_mask=self.whole_text))
        noise_BN = _lengths(num_rows, num_noise, num_spans, generator)
        kept_BN = _lengths(num_rows, length - num_noise, num_spans, generator)
        ends_BM = torch.stack((kept_BN, noise_BN), dim=2).flatten(1).cumsum(dim=1)
        segment_BL = torch.searchsorted(ends_BM, torch.arange(length).expand(num_rows, -1).contiguous(), right=True)
        noise_BL = segment_BL % 2 == 1
        first_BL = torch.zeros_like(noise_BL)
        first_BL[:, 1:] = segment_BL[:, 1:] != segment_BL[:, :-1]
        sentinel_BL = sentinels_N[segment_BL // 2]
        end_B1 = torch.full((num_rows, 1), vocabulary.end_of_text_id)
        source_BL = torch.where(noise_BL, sentinel_BL, tokens_BL)[~noise_BL | first_BL].view(num_rows, -1)
        written_BL = tokens_BL if self.whole_text else self._spans(tokens_BL, sentinel_BL, noise_BL, first_BL)
        labels_BL = torch.cat((written_BL, end_B1), dim=1)
        start_B1 = torch.full((num_rows, 1), vocabulary.pad_id)
        return {
            "tokens": torch.cat((source_BL, end_B1), dim=1),
            "target": torch.cat((start_B1, labels_BL[:, :-1]), dim=1),
            "labels": labels_BL,
        }

    def _spans(self, tokens_BL: Tensor, sentinel_BL: Tensor, noise_BL: Tensor, first_BL: Tensor) -> Tensor:
        """Return the spans taken out, each behind its sentinel: [batch, tokens and sentinels]."""
        import torch

        pairs_BL2 = torch.stack((sentinel_BL, tokens_BL), dim=2)
        wanted_BL2 = torch.stack((noise_BL & first_BL, noise_BL), dim=2)
        return pairs_BL2[wanted_BL2].view(len(tokens_BL), -1)

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the encoder-decoder."""
        from lm_modules.model.encoder_decoder import build_encoder_decoder

        both_ways, causal = (
            model.parametrization.scales(model, vocabulary.size, batch_tokens, causal=each) for each in (False, True)
        )
        return build_encoder_decoder(model, vocabulary.size, both_ways, causal)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return {"loss": mean nats per token of the target}."""
        return {"loss": network.nats(batch["tokens"], batch["target"], batch["labels"])}

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float:
        """Return the operations of encoder and decoder, and of the readout of the whole target."""
        from lm_modules.model.cost import cross_attention_flops, layers_flops, readout_flops

        row = self.row_length(model.context_length)
        source, target = self._source_length(row), self._target_length(row)
        encoder = layers_flops(model, source, causal=False)
        decoder = layers_flops(model, target, causal=True) + cross_attention_flops(model, target, source)
        return encoder + decoder + readout_flops(model, vocab_size, target)

    def write(
        self, network: Any, text_L: Tensor, vocabulary: Vocabulary, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Take spans out of the text and write the target, always the likeliest token, until it ends or is as long."""
        import torch

        batch = self.corrupt(text_L[None, :SHOWN_TOKENS].cpu(), vocabulary, generator)
        source_1S, target_1L = batch["tokens"].to(text_L.device), batch["target"][:, :1].to(text_L.device)
        for _ in range(batch["labels"].shape[1]):
            likeliest_11 = network(source_1S, target_1L)[:, -1:].argmax(dim=-1)
            target_1L = torch.cat((target_1L, likeliest_11), dim=1)
            if likeliest_11.item() == vocabulary.end_of_text_id:
                break
        return source_1S[0], target_1L[0, 1:]

    def architecture(self, model: ModelConfig) -> str:
        """Return T5."""
        model.refuse_for("an encoder-decoder", "encoder")
        model.refuse_for("stock T5", "sliding_window")
        if model.query_key_norm or model.num_key_value_heads != model.heads:
            raise ValueError(
                "stock T5 neither norms queries and keys nor shares key-value heads; set model.query_key_norm to false "
                "and leave model.key_value_heads empty"
            )
        return "t5"


def _lengths(num_rows: int, total: int, count: int, generator: torch.Generator) -> Tensor:
    """Return [rows, count] lengths of at least 1 that add up to the total, every division equally likely."""
    import torch

    order_BL = torch.rand(num_rows, total - 1, generator=generator).argsort(dim=1)
    cuts_BN = (order_BL[:, : count - 1] + 1).sort(dim=1).values
    first_B1, last_B1 = torch.zeros(num_rows, 1, dtype=torch.long), torch.full((num_rows, 1), total)
    return torch.cat((first_B1, cuts_BN, last_B1), dim=1).diff(dim=1)
