"""The better one of two answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._chat_format import format_of
from lm_modules.heads._conversations import Message, conversation_of, said_by
from lm_modules.heads._fields import text_of
from lm_modules.heads._packed_rows import NO_TARGET, Text, batch_of, sums_of_texts
from lm_modules.heads.chat import Chat

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

PAIRS_AT_ONCE = 16
"""Of which the base is asked before training."""


class Pair(NamedTuple):
    """Two answers to one prompt, each with the prompt before it."""

    chosen: Text
    rejected: Text
    base_says: tuple[float, float] | None = None
    """Log-probability of either by the model that training began with."""


class Preference(Head):
    """Answers as they are preferred, by direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290).

    The loss is their equation 7. The base is its own reference: what it finds of each answer is computed once, in
    float32, before the first step. Begin with a model that was taught to chat. With label smoothing e it is
    conservative: a part e of the preferences is taken for wrong (Mitchell 2023, cDPO).
    """

    architectures: ClassVar[tuple[str, ...]] = ("decoder",)
    inputs: ClassVar[tuple[str, ...]] = ("rejected",)
    target: ClassVar[str] = "chosen"
    optional: ClassVar[tuple[str, ...]] = ("prompt",)
    several_answers: ClassVar[bool] = True
    answers_untuned: ClassVar[bool] = True
    answers: ClassVar[str] = "preferences"
    metrics: ClassVar[tuple[str, ...]] = ("preference_accuracy",)
    tuned_by: ClassVar[str | None] = "loss"
    service: ClassVar[str] = "chat"
    pipeline_tag: ClassVar[str] = "text-generation"
    usage: ClassVar[str] = Chat.usage

    kind: Literal["preference"] = "preference"
    beta: float = Field(default=0.1, gt=0)
    """How dear it is to leave the base: the smaller, the farther the model goes."""
    packing: bool = True
    """Short answers of a batch share a row of it, without reading each other."""

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the prompt as a conversation that ends with the user, and both answers.

        Where `chosen` and `rejected` are whole conversations, what they begin with is the prompt.
        """
        fields = _parted(fields)
        if "prompt" not in fields:
            raise ValueError("no field 'prompt'")
        prompt = _from_json(fields["prompt"])
        if isinstance(prompt, str):
            prompt = [{"role": "user", "content": text_of(fields, "prompt")}]
        found: dict[str, Any] = {"prompt": conversation_of(prompt, "prompt")}
        if found["prompt"][-1]["role"] != "user":
            raise ValueError("prompt that ends with the assistant")
        found |= {
            name: _answer_of(fields, name) for name in ("chosen", "rejected") if name in fields or name != "chosen"
        }
        if found.get("chosen") == found["rejected"]:
            raise ValueError("chosen and rejected are the same")
        return found

    def text(self, fields: Fields) -> str:
        """Return all that the prompt says."""
        return "\n".join(said_by(fields["prompt"], "system", "user", "assistant"))

    def texts(self, fields: Fields) -> tuple[str, ...]:
        """Return the prompt: where no splits are given, all pairs of it go to one."""
        return (self.text(fields),)

    def reference(self, fields: Fields) -> list[str]:
        """Return the chosen answer, and the other."""
        return [fields["chosen"], fields["rejected"]]

    def asked(self, fields: Fields) -> Fields:
        """Return all: what is judged is which answer the model finds likelier."""
        return fields

    def prepare_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        """Return the tokenizer with a chat template."""
        return self._chat.prepare_tokenizer(tokenizer)

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForCausalLM`."""
        return self._chat.auto_class(base)

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock language model; it stops writing at the end of a turn."""
        self.require_fitting(base)
        return self._chat.network(base, labels, from_random_weights=from_random_weights)

    @property
    def _chat(self) -> Chat:
        return Chat(packing=self.packing)

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return both answers after the prompt, cut at their ends; none if one of them does not fit at all."""
        limit = tokenizer.model_max_length
        texts, is_cut = [], False
        for name in ("chosen", "rejected"):
            messages: list[Message] = [*fields["prompt"], {"role": "assistant", "content": fields[name]}]
            found = format_of(tokenizer).rendered(messages)
            targets = _last_answer(found.token_ids, found.is_answer)[:limit]
            if set(targets) == {NO_TARGET}:
                return []
            texts.append((found.token_ids[:limit], targets))
            is_cut = is_cut or len(found.token_ids) > limit
        chosen, rejected = texts
        return [Encoded(chosen[0], Pair(chosen, rejected), num_more_tokens=len(rejected[0]), is_cut=is_cut)]

    def prepare(
        self, network: PreTrainedModel, encoded: Sequence[Sequence[Encoded]], pad_token_id: int
    ) -> list[list[Encoded]]:
        """Return the pairs with what the base says of them."""
        import torch

        rows = [each for several in encoded for each in several]
        device, was_training = next(network.parameters()).device, network.training
        network.eval()
        found: list[tuple[float, float]] = []
        with torch.inference_mode():
            for start in range(0, len(rows), PAIRS_AT_ONCE):
                batch = self.collate(rows[start : start + PAIRS_AT_ONCE], pad_token_id)
                found += self._log_probabilities(
                    network, {key: each.to(device) for key, each in batch.items()}
                ).tolist()
        network.train(was_training)
        said = iter(found)
        return [
            [replace(each, target=each.target._replace(base_says=tuple(next(said)))) for each in several]
            for several in encoded
        ]

    def mixes_lengths(self) -> bool:
        """Return whether answers share rows."""
        return self.packing

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return both answers of each pair, one after the other, and what the base says of them, [pairs, 2]."""
        import torch

        pairs: list[Pair] = [each.target for each in encoded]
        texts = [text for pair in pairs for text in (pair.chosen, pair.rejected)]
        batch = batch_of(texts, pad_token_id, packed=self.packing)
        if all(pair.base_says is not None for pair in pairs):
            batch["base_says"] = torch.tensor([pair.base_says for pair in pairs])
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean over pairs of -log sigmoid(beta * how much more than the base it prefers the chosen one)."""
        return self._losses(self._log_probabilities(network, batch), batch["base_says"], label_smoothing).mean()

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the log-probabilities of both answers of each pair; the loss, where it is known what the base says."""
        import torch

        with torch.inference_mode():
            says_P2 = self._log_probabilities(network, batch)
            losses: list[Any] = [None] * len(says_P2)
            if "base_says" in batch:
                losses = self._losses(says_P2, batch["base_says"], 0.0).tolist()
            preferred_P = torch.sigmoid(says_P2[:, 0] - says_P2[:, 1])
        return [
            Prediction({"chosen": round(chosen, 4), "rejected": round(rejected, 4)}, probability, loss)
            for (chosen, rejected), probability, loss in zip(
                says_P2.tolist(), preferred_P.tolist(), losses, strict=True
            )
        ]

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return what the model says of a pair: neither is likelier, if they do not fit."""
        return found[0] if found else Prediction({"chosen": 0.0, "rejected": 0.0}, 0.5, None, 0)

    def _log_probabilities(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> Tensor:
        """Return the log-probability of the chosen and of the rejected answer in nats, [pairs, 2]."""
        return -sums_of_texts(network, batch)[:, 0].view(-1, 2)

    def _losses(self, says_P2: Tensor, base_says_P2: Tensor, label_smoothing: float) -> Tensor:
        from torch.nn.functional import logsigmoid

        gain_P2 = says_P2 - base_says_P2
        margin_P = self.beta * (gain_P2[:, 0] - gain_P2[:, 1])
        return -(1 - label_smoothing) * logsigmoid(margin_P) - label_smoothing * logsigmoid(-margin_P)


def _from_json(value: Any) -> Any:
    """Return the messages that a text holds as JSON; a text that only begins like them stays one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with suppress(ValueError):
            found = json.loads(value)
            if found and isinstance(found, list) and all(map(_is_message, found)):
                return found
    return value


def _is_message(value: Any) -> bool:
    return isinstance(value, dict) and any(names <= set(value) for names in ({"role", "content"}, {"from", "value"}))


def _parted(fields: Fields) -> Fields:
    """Return prompt and answers where both answers are conversations that begin alike."""
    chosen, rejected = (_from_json(fields.get(name)) for name in ("chosen", "rejected"))
    if not all(isinstance(each, list) for each in (chosen, rejected)):
        return fields
    if len(chosen) < 2 or len(rejected) < 2:
        return {**fields, "chosen": chosen, "rejected": rejected}
    if chosen[:-1] != rejected[:-1]:
        raise ValueError("chosen and rejected are conversations that differ before their last message")
    prompt = _from_json(fields.get("prompt", chosen[:-1]))
    if prompt not in (chosen[:-1], chosen[-2].get("content", chosen[-2].get("value"))):
        raise ValueError("prompt that differs from what chosen and rejected begin with")
    return {**fields, "prompt": chosen[:-1], "chosen": chosen[-1:], "rejected": rejected[-1:]}


def _answer_of(fields: Fields, name: str) -> str:
    """Return an answer: a text, or a list of one message of the assistant."""
    value = fields.get(name)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict):
        if value[0].get("role", value[0].get("from")) not in ("assistant", "gpt"):
            raise ValueError(f"{name} that the assistant does not say")
        return text_of({name: value[0].get("content", value[0].get("value"))}, name)
    return text_of(fields, name)


def _last_answer(token_ids: Sequence[int], is_answer: Sequence[bool]) -> list[int]:
    """Return the targets of the last answer alone: those before are part of the prompt."""
    targets = [NO_TARGET] * len(token_ids)
    end = len(is_answer) - is_answer[::-1].index(True)
    for place in range(end - 1, 0, -1):
        if not is_answer[place]:
            break
        targets[place] = token_ids[place]
    return targets
