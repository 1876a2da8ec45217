"""Answers in a conversation: what the assistant says next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._chat_format import Rendered, format_of, with_chat_template
from lm_modules.heads._conversations import Message, conversation_of, said_by, up_to_the_last_answer
from lm_modules.heads._packed_rows import (
    NO_TARGET,
    batch_of,
    predicted_targets,
    require_texts_kept_apart,
    sums_of_texts,
)

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Chat(Head):
    """What the assistant says in a conversation of several turns, by `transformers.AutoModelForCausalLM`.

    Supervised fine-tuning (Ouyang et al. 2022, section 3.5) in the words of the model's own chat template; a model that
    has none gets a plain one, which is saved with it. Only the assistant's tokens are learned, with the one that ends
    a turn. Of a conversation that is too long, the last exchanges are left out; if the first one alone is too long, its
    end is.
    """

    architectures: ClassVar[tuple[str, ...]] = ("decoder",)
    inputs: ClassVar[tuple[str, ...]] = ()
    target: ClassVar[str] = "messages"
    several_answers: ClassVar[bool] = True
    answers_untuned: ClassVar[bool] = True
    answers: ClassVar[str] = "likelihoods"
    metrics: ClassVar[tuple[str, ...]] = ("nats_per_token", "token_accuracy")
    service: ClassVar[str] = "chat"
    pipeline_tag: ClassVar[str] = "text-generation"
    usage: ClassVar[str] = """\
from transformers import pipeline

chat = pipeline("text-generation", model=directory)
chat([{"role": "user", "content": "Name three rivers."}], max_new_tokens=64)"""

    kind: Literal["chat"] = "chat"
    packing: bool = True
    """Short conversations of a batch share a row of it, without reading each other."""

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the conversation: a system message or none, then user and assistant in turns."""
        if self.target not in fields:
            raise ValueError(f"no field {self.target!r}")
        messages = conversation_of(fields[self.target], self.target)
        if not said_by(messages, "assistant"):
            raise ValueError(f"{self.target} without an answer of the assistant")
        return {self.target: up_to_the_last_answer(messages)}

    def text(self, fields: Fields) -> str:
        """Return what system and user say."""
        return "\n".join(said_by(fields[self.target], "system", "user"))

    def reference(self, fields: Fields) -> list[str]:
        """Return what the assistant says."""
        return said_by(fields[self.target], "assistant")

    def asked(self, fields: Fields) -> Fields:
        """Return the whole conversation: what is judged is how likely the model finds the answers."""
        return fields

    def prepare_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        """Return the tokenizer with a chat template."""
        return with_chat_template(tokenizer)

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForCausalLM`."""
        from transformers import AutoModelForCausalLM

        return AutoModelForCausalLM

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock language model; it stops writing at the end of a turn."""
        from lm_modules.model.stock import open_model, open_tokenizer

        self.require_fitting(base)
        tokenizer = open_tokenizer(base)
        model = open_model(self.auto_class(base), base, from_random_weights=from_random_weights)
        model.config.pad_token_id = model.generation_config.pad_token_id = tokenizer.pad_token_id
        ends = (format_of(tokenizer).end_of_turn(), tokenizer.eos_token_id)
        model.generation_config.eos_token_id = list(dict.fromkeys(each for each in ends if each is not None))
        if self.packing:
            require_texts_kept_apart(model)
        return model

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the conversation, as much of it as fits; its targets are the assistant's tokens."""
        found, is_cut = self._fitting(fields[self.target], tokenizer)
        # nothing stands before the first token by which it could be told
        is_target = [False, *found.is_answer[1:]]
        if not any(is_target):
            return []
        targets = [token if wanted else NO_TARGET for token, wanted in zip(found.token_ids, is_target, strict=True)]
        return [Encoded(found.token_ids, targets, is_cut=is_cut)]

    def _fitting(self, messages: list[Message], tokenizer: PreTrainedTokenizerBase) -> tuple[Rendered, bool]:
        """Return the first exchanges that fit, and whether that is less than the conversation."""
        chat, limit = format_of(tokenizer), tokenizer.model_max_length
        ends = [place + 1 for place, each in enumerate(messages) if each["role"] == "assistant"]
        for end in reversed(ends):
            found = chat.rendered(messages[:end])
            if len(found.token_ids) <= limit:
                return found, end < len(messages)
        return Rendered(found.token_ids[:limit], found.is_answer[:limit]), True

    def mixes_lengths(self) -> bool:
        """Return whether conversations share rows."""
        return self.packing

    def num_targets(self, encoded: Sequence[Encoded]) -> int:
        """Return the number of the assistant's tokens."""
        return sum(target != NO_TARGET for each in encoded for target in each.target)

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the conversations in as few rows as they fit in, or in one each."""
        return batch_of([(each.token_ids, each.target) for each in encoded], pad_token_id, packed=self.packing)

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy of the assistant's tokens in nats."""
        from torch.nn.functional import cross_entropy

        logits_NV, targets_N, _ = predicted_targets(network, batch)
        return cross_entropy(logits_NV, targets_N, label_smoothing=label_smoothing)

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return of each conversation the sums of its targets: nats, tokens, and tokens that are the likeliest."""
        import torch

        with torch.inference_mode():
            return [_prediction(*sums) for sums in sums_of_texts(network, batch).tolist()]

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return what the model says of a conversation: nothing, if no answer of it fits."""
        return found[0] if found else _prediction(0.0, 0.0, 0.0)

    def preview(self, encoded: Sequence[Sequence[Encoded]], tokenizer: PreTrainedTokenizerBase) -> str | None:
        """Return a page with the first conversations, coloured by what is learned."""
        from lm_modules.heads._preview import page_of

        return page_of(encoded, tokenizer)


def _prediction(nats: float, tokens: float, right: float) -> Prediction:
    """Return a prediction whose probability is the geometric mean of its tokens'."""
    loss = nats / tokens if tokens else None
    value = {"nats": round(nats, 6), "tokens": int(tokens), "right": int(right)}
    return Prediction(value, math.exp(-(loss or 0.0)), loss, int(tokens))
