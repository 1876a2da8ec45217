"""The answer to a question, as a span of the text that holds it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._batches import inputs_of, padded
from lm_modules.heads._fields import list_of, text_of
from lm_modules.heads._texts import between

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


USAGE = """\
import torch
from transformers import {auto_class}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(directory)
model = {auto_class}.from_pretrained(directory).eval()
question, context = "Who wrote it?{between}", "It was written by Ada in London."
read = tokenizer(question, context, truncation="only_second", return_offsets_mapping=True, return_tensors="pt")
places = read["offset_mapping"][0].tolist()
inside = torch.tensor([each == 1 for each in read.sequence_ids()])
with torch.inference_mode():
    said = model(**{{name: read[name] for name in {names}}})
start, end = {start_and_end}
allowed = (inside[:, None] & inside).triu().tril({longest})
score = (start[:, None] + end).where(allowed, -torch.inf)
first, last = divmod(score.argmax().item(), len(start))
{no_answer}context[places[first][0] : places[last][1]].strip()"""


class ExtractiveQa(Head):
    """Spans of a context that answer a question, or none, as in SQuAD (Rajpurkar et al. 2016 and 2018).

    A context that is too long is read in windows that overlap, each behind the question. In training, the target of a
    window that does not hold a whole answer is its first token: no answer. The model is the stock one for question
    answering, or for tokens with two labels (start, end) where `transformers` has none for an architecture.
    """

    inputs: ClassVar[tuple[str, ...]] = ("question", "context")
    target: ClassVar[str] = "answers"
    answers: ClassVar[str] = "passages"
    metrics: ClassVar[tuple[str, ...]] = ("answer_f1", "exact_match")
    service: ClassVar[str] = "question_answering"
    pipeline_tag: ClassVar[str] = "question-answering"
    usage: ClassVar[str] = USAGE.format(
        auto_class="AutoModelForQuestionAnswering",
        between="",
        names=("input_ids", "attention_mask"),
        start_and_end="said.start_logits[0], said.end_logits[0]",
        longest=29,
        no_answer='"" if start[0] + end[0] - score.max() > 0.0 else ',
    )

    kind: Literal["extractive_qa"] = "extractive_qa"
    overlap_tokens: int = Field(default=128, ge=0)
    """Tokens that a window has in common with the one before (at most half of those that its context gets)."""
    max_answer_tokens: int = Field(default=30, ge=1)
    """Longest answer that is given."""
    num_best: int = Field(default=20, ge=1)
    """How many spans share the probability, and can be asked for."""
    no_answer_threshold: float | None = 0.0
    """Nothing is answered where no answer scores higher than the best span by more than this; null always answers."""

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines for the class of this architecture, with what the tokenizer tells and the settings."""
        auto_class = _auto_class_of(model.config).__name__
        says_both = auto_class == "AutoModelForQuestionAnswering"
        tells_texts = any(tokenizer("a", "b").get("token_type_ids", ()))
        threshold = self.no_answer_threshold
        return USAGE.format(
            auto_class=auto_class,
            between=between(tokenizer).replace("\n", "\\n"),
            names=("input_ids", "attention_mask", *(["token_type_ids"] if tells_texts else [])),
            start_and_end="said.start_logits[0], said.end_logits[0]" if says_both else "said.logits[0].unbind(-1)",
            longest=self.max_answer_tokens - 1,
            no_answer="" if threshold is None else f'"" if start[0] + end[0] - score.max() > {threshold} else ',
        )

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return question, context, and the answers as a list of {text, start}; each must stand at its start."""
        found: dict[str, Any] = {name: text_of(fields, name) for name in self.inputs}
        if self.target in fields:
            found[self.target] = [_checked(each, found["context"]) for each in _listed(fields[self.target])]
        return found

    def reference(self, fields: Fields) -> list[str]:
        """Return the texts of the answers; none where there is no answer."""
        return [each["text"] for each in fields[self.target]]

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForQuestionAnswering`, or `AutoModelForTokenClassification` where that has no such model."""
        from transformers import AutoConfig

        config = AutoConfig.from_pretrained(str(base))
        if (found := _auto_class_of(config)) is None:
            raise ValueError(
                f"{base}: transformers has no {config.model_type} that points at tokens; choose another base"
            )
        return found

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock model with two outputs a token."""
        from lm_modules.model.stock import open_model

        names = {0: "start", 1: "end"}
        return open_model(
            self.auto_class(base),
            base,
            from_random_weights=from_random_weights,
            id2label=names,
            label2id={name: index for index, name in names.items()},
        )

    def texts(self, fields: Fields) -> tuple[str, ...]:
        """Return the context: where no splits are given, all questions about it go to one."""
        return (fields["context"],)

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the windows, each with the tokens of an answer that it holds whole, or (0, 0).

        There are none where answers are known, and no window holds one whole.
        """
        from lm_modules.serving.spans import windows

        found = windows(tokenizer, fields["question"], fields["context"], self.overlap_tokens)
        answers = fields.get(self.target)
        targets = [None if answers is None else _target(answers, each.places) for each in found]
        if answers and not any(each != NO_ANSWER for each in targets):
            return []
        return [
            Encoded(window.token_ids, target, token_type_ids=window.token_type_ids, places=window.places)
            for window, target in zip(found, targets, strict=True)
        ]

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the inputs, `in_context`, [batch, length], and `labels`, [batch, 2], where all are known."""
        import torch

        batch = inputs_of(encoded, pad_token_id)
        batch["in_context"] = padded([[int(place is not None) for place in each.places] for each in encoded], 0)
        if all(each.target is not None for each in encoded):
            batch["labels"] = torch.tensor([each.target for each in encoded])
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean over starts and ends of the cross-entropy over all tokens of a window."""
        return self._losses(*self._logits(network, batch), batch, label_smoothing).mean()

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the best spans of each window."""
        import torch

        from lm_modules.serving.spans import best_spans

        with torch.inference_mode():
            start_BL, end_BL = self._logits(network, batch)
        losses: list[float] | list[None] = [None] * len(start_BL)
        if "labels" in batch:
            losses = self._losses(start_BL, end_BL, batch).tolist()
        found = best_spans(
            start_BL,
            end_BL,
            batch["in_context"].bool(),
            max_answer_tokens=self.max_answer_tokens,
            num_best=self.num_best,
        )
        return [
            Prediction(spans, _highest([spans.none, *(score for score, _, _ in spans.best)]), loss)
            for spans, loss in zip(found, losses, strict=True)
        ]

    def _logits(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        from lm_modules.serving.spans import start_and_end

        names = ("input_ids", "attention_mask", "token_type_ids")
        return start_and_end(network(**{name: batch[name] for name in names if name in batch}))

    def _losses(
        self, start_BL: Tensor, end_BL: Tensor, batch: dict[str, Tensor], label_smoothing: float = 0.0
    ) -> Tensor:
        """Return the loss of each window, [batch]; padding is no choice."""
        padding_BL = batch["attention_mask"] == 0
        num_tokens_B = batch["attention_mask"].sum(-1)
        total_B = start_BL.new_zeros(len(start_BL))
        for logits_BL, target_B in zip((start_BL, end_BL), batch["labels"].unbind(-1), strict=True):
            log_probabilities_BL = logits_BL.masked_fill(padding_BL, float("-inf")).log_softmax(-1)
            right_B = log_probabilities_BL.gather(1, target_B[:, None])[:, 0]
            mean_B = log_probabilities_BL.masked_fill(padding_BL, 0.0).sum(-1) / num_tokens_B
            total_B = total_B - (1 - label_smoothing) * right_B - label_smoothing * mean_B
        return total_B / 2

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return the text of the best span over all windows, "" for no answer."""
        from lm_modules.serving.spans import best_answers

        best, *_ = best_answers(
            fields["context"],
            [each.places for each in encoded],
            [each.value for each in found],
            num_best=self.num_best,
            no_answer_threshold=self.no_answer_threshold,
        )
        losses = [each.loss for each in found if each.loss is not None]
        return Prediction(
            best.text, best.probability, sum(losses) / len(losses) if losses else None, max(len(losses), 1)
        )


NO_ANSWER = (0, 0)


def _auto_class_of(config: Any) -> Any:
    """Return the class that opens models of this configuration; None where there is none that points at tokens."""
    from transformers import AutoModelForQuestionAnswering, AutoModelForTokenClassification

    both = (AutoModelForQuestionAnswering, AutoModelForTokenClassification)
    return next((each for each in both if type(config) in each._model_mapping), None)


def _target(answers: Sequence[Mapping[str, Any]], places: Sequence[tuple[int, int] | None]) -> tuple[int, int]:
    """Return the first and the last token of the first answer that a window holds whole."""
    inside = [index for index, place in enumerate(places) if place is not None]
    for each in answers:
        start, end = each["start"], each["start"] + len(each["text"])
        tokens = [index for index in inside if places[index][0] < end and places[index][1] > start]  # type: ignore[index]
        if tokens and places[tokens[0]][0] <= start and places[tokens[-1]][1] >= end:  # type: ignore[index]
            return tokens[0], tokens[-1]
    return NO_ANSWER


def _listed(value: Any) -> list[Any]:
    """Return answers in SQuAD's form, or in that of `datasets` (a list of texts and one of starts), one by one."""
    if isinstance(value, str) and value.lstrip().startswith("{"):
        try:
            value = json.loads(value)
        except ValueError as error:
            raise ValueError("field 'answers' is no list") from error
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get("answer_start", value.get("start"))
        if not isinstance(texts, list | tuple) or not isinstance(starts, list | tuple) or len(texts) != len(starts):
            raise ValueError("field 'answers' has not as many starts as texts")
        return [{"text": text, "start": start} for text, start in zip(texts, starts, strict=True)]
    return list_of(value, "answers")


def _checked(answer: Any, context: str) -> dict[str, Any]:
    """Return {text, start} of an answer, without white space around it."""
    text = answer.get("text") if isinstance(answer, Mapping) else None
    start = answer.get("start", answer.get("answer_start")) if isinstance(answer, Mapping) else None
    if not isinstance(text, str) or type(start) is not int:
        raise ValueError("one of the 'answers' has no text with a start")
    if not text.strip():
        raise ValueError("one of the 'answers' is empty; a question without an answer has an empty list")
    if start < 0 or context[start : start + len(text)] != text:
        raise ValueError("one of the 'answers' does not stand at its start in the context")
    before = len(text) - len(text.lstrip())
    return {"text": text.strip(), "start": start + before}


def _highest(scores: Sequence[float]) -> float:
    """Return the softmax of the highest score."""
    from math import exp

    return 1 / sum(exp(each - max(scores)) for each in scores)
