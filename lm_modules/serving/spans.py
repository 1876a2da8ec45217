"""Answers that are places in a text: the windows in which a model reads it, and the best spans over all of them.

    [CLS] question [SEP] the first piece of the context [SEP]
    [CLS] question [SEP] piece of the context, the second [SEP]        windows overlap

A span is scored by the logit of its start plus that of its end, "no answer" by both logits of the first token, as in
the BERT baseline for SQuAD 2.0 (Devlin et al. 2019, section 4.3). Copied into registered models: nothing of Rootstock
may be imported here.
"""

# B windows, L tokens, A tokens of an answer

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Window:
    """A question with a piece of its context."""

    token_ids: list[int]
    token_type_ids: list[int] | None
    """Which of the two texts each token is of, where the tokenizer says so: GPT-2 would take it for something else."""
    places: list[tuple[int, int] | None]
    """From where to where in the context each token stands; None for tokens that are not of it."""


@dataclass(frozen=True, slots=True)
class Spans:
    """What one window says."""

    none: float
    """Score of no answer."""
    best: list[tuple[float, int, int]]
    """(score, first token, last token), the best first."""


def windows(tokenizer: Any, question: str, context: str, overlap_tokens: int) -> list[Window]:
    """Return the windows of a context, each at most `tokenizer.model_max_length` tokens.

    A question that takes more than half of a window is cut; so is the overlap, at half of what is left.
    """
    if not tokenizer.is_fast:
        raise ValueError(f"{type(tokenizer).__name__} does not tell where tokens stand; use a fast tokenizer")
    # where the tokenizer sets nothing between two texts, a line end does
    between = "" if tokenizer.sep_token_id is not None else "\n"
    room = tokenizer.model_max_length - tokenizer.num_special_tokens_to_add(pair=True)
    question = _cut(tokenizer, question.strip(), between, room // 2)
    left = room - _num_tokens(tokenizer, question + between)
    found = tokenizer(
        question + between,
        context,
        truncation="only_second",
        stride=min(overlap_tokens, left // 2),
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    read = []
    for index, token_ids in enumerate(found["input_ids"]):
        of_context = [each == 1 for each in found.sequence_ids(index)]
        offsets = found["offset_mapping"][index]
        places = [tuple(each) if there else None for each, there in zip(offsets, of_context, strict=True)]
        segments = found["token_type_ids"][index] if "token_type_ids" in found else None
        read.append(Window(token_ids, segments if segments and any(segments) else None, places))
    if not read[0].token_ids:  # two empty texts still need a token to answer from
        return [Window([tokenizer.eos_token_id], None, [None])]
    return read


def _cut(tokenizer: Any, question: str, between: str, most_tokens: int) -> str:
    """Return the beginning of a question that has at most so many tokens."""
    keep = most_tokens
    while question and _num_tokens(tokenizer, question + between) > most_tokens:
        offsets = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, truncation=False)
        ends = [end for _, end in offsets["offset_mapping"]]
        question = question[: ends[keep - 1]] if 0 < keep <= len(ends) else ""
        keep -= 1
    return question


def _num_tokens(tokenizer: Any, text: str) -> int:
    return len(tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"])


def start_and_end(outputs: Any) -> tuple[Tensor, Tensor]:
    """Return the logits of starts and of ends, [batch, length] each, in float32.

    A stock model for question answering gives both; one for tokens with two labels gives them as labels 0 and 1.
    """
    if "start_logits" in outputs:
        return outputs.start_logits.float(), outputs.end_logits.float()
    logits_BL2 = outputs.logits.float()
    return logits_BL2[..., 0], logits_BL2[..., 1]


def best_spans(
    start_BL: Tensor, end_BL: Tensor, in_context_BL: Tensor, *, max_answer_tokens: int, num_best: int
) -> list[Spans]:
    """Return the best spans of every window, of all that lie in the context and are not too long.

    The published scripts try the best 20 starts with the best 20 ends; here all pairs are tried.
    """
    from torch.nn.functional import pad

    none_B = start_BL[:, 0] + end_BL[:, 0]
    longest = min(max_answer_tokens, start_BL.shape[1])
    start_BL = start_BL.masked_fill(~in_context_BL, -math.inf)
    end_BL = end_BL.masked_fill(~in_context_BL, -math.inf)
    score_BLA = start_BL[:, :, None] + pad(end_BL, (0, longest - 1), value=-math.inf).unfold(1, longest, 1)
    best = score_BLA.flatten(1).topk(min(num_best, score_BLA[0].numel()))
    return [
        Spans(none, [(score, at // longest, at // longest + at % longest) for score, at in pairs if score > -math.inf])
        for none, pairs in zip(
            none_B.tolist(),
            [zip(*each, strict=True) for each in zip(best.values.tolist(), best.indices.tolist(), strict=True)],
            strict=True,
        )
    ]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a context is said to answer."""

    text: str
    """Without white space around it; "" is no answer."""
    start: int | None
    """Where it stands in the context, in characters from 0; None where there is no answer."""
    probability: float
    """Among the best ones."""


def best_answers(
    context: str,
    places: Sequence[Sequence[tuple[int, int] | None]],
    said: Sequence[Spans],
    *,
    num_best: int,
    no_answer_threshold: float | None,
) -> list[Answer]:
    """Return the best spans over all windows, the best first, with no answer in the place that the threshold gives it.

    The score of no answer is the lowest that any window gives: where one of them has the answer, there is one. Without
    a threshold it is no choice, but where there is no other.
    """
    scores: dict[tuple[int, int] | None, float] = {}
    for window, spans in zip(places, said, strict=True):
        for score, first, last in spans.best:
            start, end = window[first][0], window[last][1]  # type: ignore[index]  # spans lie in the context
            if context[start:end].strip():
                scores[start, end] = max(score, scores.get((start, end), -math.inf))
    best = sorted(scores.items(), key=lambda each: (-each[1], each[0]))[:num_best]
    if no_answer_threshold is not None or not best:
        none = min((each.none for each in said), default=0.0)
        behind = sum(none - (no_answer_threshold or 0.0) <= score for _, score in best)
        best.insert(behind, (None, none))
    highest = max(score for _, score in best)
    parts = [math.exp(score - highest) for _, score in best]
    return [
        Answer("", None, part / sum(parts)) if place is None else _answer(context, *place, part / sum(parts))
        for (place, _), part in zip(best, parts, strict=True)
    ]


def _answer(context: str, start: int, end: int, probability: float) -> Answer:
    text = context[start:end]
    return Answer(text.strip(), start + len(text) - len(text.lstrip()), probability)
