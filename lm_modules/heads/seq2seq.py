"""A text for a text: translation, summarization, what a piece of code does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._batches import inputs_of, padded
from lm_modules.heads._fields import text_of
from lm_modules.heads._writing import NOT_SCORED, logits_of, mean_losses, write
from lm_modules.serving.source_tokens import PLACE, ends_texts, prompt_of, source_tokens

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

# B rows of a batch, T tokens of the target, V vocabulary


OF_ENCODER_DECODERS = """\
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

tokenizer, model = (each.from_pretrained(directory) for each in (AutoTokenizer, AutoModelForSeq2SeqLM))
read = tokenizer({prompt}.replace("{{source}}", "The cat sleeps."), return_tensors="pt")
tokenizer.decode(model.generate(**read)[0], skip_special_tokens=True)"""

OF_DECODERS = """\
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer, model = (each.from_pretrained(directory) for each in (AutoTokenizer, AutoModelForCausalLM))
read = tokenizer({prompt}.replace("{{source}}", "The cat sleeps."), return_tensors="pt")
written = model.generate(input_ids=read["input_ids"])[0, read["input_ids"].shape[1] :]
tokenizer.decode(written, skip_special_tokens=True)"""


class Seq2seq(Head):
    """A text for a text, by `AutoModelForSeq2SeqLM` on encoder-decoders and `AutoModelForCausalLM` on decoders.

    It learns from the tokens of the target alone, the end token included, and writes by beam search. How it writes is
    kept in the model's `generation_config`: the stock `generate` gives the same text.
    """

    inputs: ClassVar[tuple[str, ...]] = ("source",)
    target: ClassVar[str] = "target"
    several_answers: ClassVar[bool] = True
    answers_untuned: ClassVar[bool] = True
    answers: ClassVar[str] = "texts"
    metrics: ClassVar[tuple[str, ...]] = ("chrf", "bleu", "rouge_l")
    baselines: ClassVar[tuple[str, ...]] = ("nearest", "lead")
    writes: ClassVar[bool] = True
    architectures: ClassVar[tuple[str, ...]] = ("decoder", "encoder_decoder")
    service: ClassVar[str] = "seq2seq"
    pipeline_tag: ClassVar[str] = "text-generation"
    usage: ClassVar[str] = OF_ENCODER_DECODERS.format(prompt=repr(PLACE))

    kind: Literal["seq2seq"] = "seq2seq"
    prompt: str | None = None
    """What the model reads, with `{source}` where the source stands: `"translate English to Spanish: {source}"`. Null
    is the source alone, on decoders with a line end behind it."""
    max_new_tokens: int = Field(default=64, ge=1)
    """Longest answer in tokens. So many of `context_length` are kept for it; what is left is for the source, which is
    cut at its end. Of longer targets the beginning is learned."""
    num_beams: int = Field(default=4, ge=1)
    """Beginnings of an answer that are followed side by side; 1 takes the likeliest token each time."""
    length_penalty: float = 1.0
    """Exponent of the length by which the log-probability of a beam is divided; more than 0 favours long answers."""
    no_repeat_ngram_size: int = Field(default=0, ge=0)
    """Runs of so many tokens come once only in an answer; 0 lets all repeat."""

    @field_validator("prompt")
    @classmethod
    def _has_one_place(cls, prompt: str | None) -> str | None:
        if prompt is not None and prompt.count(PLACE) != 1:
            raise ValueError(f"prompt {prompt!r} has {prompt.count(PLACE)} places for the source; write {PLACE} once")
        return prompt

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines with the prompt, for this architecture."""
        lines = OF_ENCODER_DECODERS if model.config.is_encoder_decoder else OF_DECODERS
        return lines.format(prompt=repr(prompt_of(self.prompt, tokenizer)))

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return both texts."""
        names = (*self.inputs, self.target) if self.target in fields else self.inputs
        return {name: text_of(fields, name) for name in names}

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForSeq2SeqLM` for an encoder-decoder, `AutoModelForCausalLM` for a decoder."""
        from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

        from lm_modules.model.stock import architecture_of

        return AutoModelForSeq2SeqLM if architecture_of(base) == "encoder_decoder" else AutoModelForCausalLM

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock language model; how it writes is its `generation_config`, and is saved with it."""
        from lm_modules.model.stock import open_model, open_tokenizer

        self.require_fitting(base)
        model = open_model(self.auto_class(base), base, from_random_weights=from_random_weights)
        model.generation_config = self._writing(model, open_tokenizer(base))
        return model

    def _writing(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> GenerationConfig:
        """Return how to write. Of the base's own ways only the tokens with which an answer begins are kept."""
        from transformers import GenerationConfig

        if tokenizer.eos_token_id is None:
            raise ValueError(f"the tokenizer of {model.name_or_path} has no end token; add an eos_token to it")
        kept = {
            name: getattr(model.generation_config, name) for name in ("decoder_start_token_id", "forced_bos_token_id")
        }
        return GenerationConfig(
            **kept,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            max_new_tokens=self.max_new_tokens,
            num_beams=self.num_beams,
            length_penalty=self.length_penalty,
            no_repeat_ngram_size=self.no_repeat_ngram_size,
        )

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the source, and the target with the end token."""
        room = tokenizer.model_max_length - self.max_new_tokens
        if room < 1:
            raise ValueError(
                f"max_new_tokens {self.max_new_tokens} leaves nothing of context_length {tokenizer.model_max_length} "
                "for the source; raise finetuning.context_length, or lower finetuning.head.max_new_tokens"
            )
        source, fits = source_tokens(fields["source"], tokenizer, self.prompt, room)
        if self.target not in fields:
            return [Encoded(source, num_more_tokens=self.max_new_tokens, is_cut=not fits)]
        if ends_texts(tokenizer):
            target = tokenizer(text_target=fields[self.target], verbose=False)["input_ids"]
        else:
            target = tokenizer(fields[self.target], add_special_tokens=False, verbose=False)["input_ids"]
            target = [*target, tokenizer.eos_token_id]
        is_cut = not fits or len(target) > self.max_new_tokens
        target = target[: self.max_new_tokens]
        return [Encoded(source, target, num_more_tokens=len(target), is_cut=is_cut)]

    def mixes_lengths(self) -> bool:
        """Return true: of a thousand dialogues, batches of similar lengths taught 2 chrF less (docs/log.md)."""
        return True

    def num_targets(self, encoded: Sequence[Encoded]) -> int:
        """Return the number of tokens of all targets."""
        return sum(len(each.target) for each in encoded)

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the sources, and `labels`, [batch, longest target], where all targets are known."""
        batch = inputs_of(encoded, pad_token_id)
        if all(each.target is not None for each in encoded):
            batch["labels"] = padded([each.target for each in encoded], NOT_SCORED)
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy in nats over the tokens of the targets, end tokens included."""
        from torch.nn.functional import cross_entropy

        logits_BTV = logits_of(network, batch, batch["labels"])
        return cross_entropy(
            logits_BTV.flatten(0, 1),
            batch["labels"].flatten(),
            ignore_index=NOT_SCORED,
            label_smoothing=label_smoothing,
        )

    def losses(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the mean loss of each row over the tokens of its target."""
        import torch

        if "labels" not in batch:
            return [Prediction(None, 0.0)] * len(batch["input_ids"])
        with torch.inference_mode():
            losses_B = mean_losses(logits_of(network, batch, batch["labels"]), batch["labels"])
        numbers_B = (batch["labels"] != NOT_SCORED).sum(1)
        return [
            Prediction(None, 0.0, loss, number)
            for loss, number in zip(losses_B.tolist(), numbers_B.tolist(), strict=True)
        ]

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the tokens that are written to each row; their probability is the geometric mean of all of them."""
        import torch

        with torch.inference_mode():
            written_BT = write(network, batch)
            own_B = mean_losses(logits_of(network, batch, written_BT), written_BT)
        probabilities, losses = own_B.neg().exp().tolist(), self.losses(network, batch)
        values = [[token for token in row if token != NOT_SCORED] for row in written_BT.tolist()]
        return [
            replace(loss, value=value, probability=probability)
            for value, probability, loss in zip(values, probabilities, losses, strict=True)
        ]

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return the text that was written."""
        (only,) = found
        if only.value is None:
            return only
        return replace(only, value=str(tokenizer.decode(only.value, skip_special_tokens=True)).strip())
