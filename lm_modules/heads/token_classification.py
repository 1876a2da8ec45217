"""A tag for every word: named entities, parts of speech."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from lm_modules.heads import Encoded, Fields, Head, Prediction
from lm_modules.heads._batches import inputs_of, outputs_of, padded
from lm_modules.heads._fields import label_of, list_of
from lm_modules.heads._label_weights import balanced_weights
from lm_modules.serving.word_windows import windows

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

N = TypeVar("N", int, float)

IGNORED = -100
OUTSIDE = "O"

USAGE = """\
import torch
from transformers import AutoModelForTokenClassification, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(directory)
model = AutoModelForTokenClassification.from_pretrained(directory).eval()
words = "Rick and Morty met in Rome .".split()  # words and punctuation apart, as in training
read = tokenizer(" ".join(words), return_offsets_mapping=True, truncation=True, return_tensors="pt")
places = read.pop("offset_mapping")[0].tolist()
with torch.inference_mode():
    said = model(input_ids=read["input_ids"], attention_mask=read["attention_mask"]).logits[0].argmax(-1).tolist()
tags, begin = [], 0
for word in words:
    pieces = [at for at, (start, end) in enumerate(places) if start < begin + len(word) and end > begin]
    tags.append(model.config.id2label[said[pieces[{place}]]])  # the {piece} piece of a word has its tag
    begin += len(word) + 1
list(zip(words, tags))"""
"""The pipelines of `transformers` know the words of some tokenizers alone, and only their first pieces."""


class TokenClassification(Head):
    """A tag for every word, by `transformers.AutoModelForTokenClassification`.

    Tags are of BIO (Ramshaw and Marcus 1995), BILOU (Ratinov and Roth 2009) or any other set, entities or not. One
    piece of a word carries its tag (Devlin et al. 2019, section 5.3); the others are not learned. A text that is too
    long is read in overlapping windows, and every word is answered in the one that shows most of what is around it.
    """

    inputs: ClassVar[tuple[str, ...]] = ("words",)
    weighs_labels: ClassVar[bool] = True
    target: ClassVar[str] = "tags"
    answers: ClassVar[str] = "tags"
    metrics: ClassVar[tuple[str, ...]] = ("entity_f1", "tag_accuracy")
    baselines: ClassVar[tuple[str, ...]] = ("frequent_tag",)
    service: ClassVar[str] = "entities"
    pipeline_tag: ClassVar[str] = "token-classification"
    usage: ClassVar[str] = USAGE.format(piece="first", place=0)

    kind: Literal["token_classification"] = "token_classification"
    piece: Literal["first", "last"] = "first"
    """Which piece of a word is asked for its tag. A decoder has read all of the word at its last piece only; what
    others do with the model (the pipelines of `transformers`) takes the first."""

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines with the piece that is asked."""
        return USAGE.format(piece=self.piece, place=0 if self.piece == "first" else -1)

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the words and as many tags: lists, lists in JSON, or strings with spaces between."""
        if "words" not in fields:
            raise ValueError("no field 'words'")
        words = list_of(fields["words"], "words")
        if not words:
            raise ValueError("empty words")
        if not all(isinstance(each, str) for each in words):
            raise ValueError("one of the words is no string")
        if not all(each.strip() for each in words):
            raise ValueError("one of the words is empty")
        found: dict[str, Any] = {"words": words}
        if self.target in fields:
            tags = [label_of(each, "tags") for each in list_of(fields["tags"], "tags")]
            if len(tags) != len(words):
                raise ValueError("not as many tags as words")
            found["tags"] = tags
        return found

    def text(self, fields: Fields) -> str:
        """Return the words with spaces between."""
        return " ".join(fields["words"])

    def classes(self, fields: Fields) -> tuple[str, ...]:
        """Return the tags."""
        return tuple(fields["tags"])

    def auto_class(self, base: str | Path) -> Any:
        """Return `AutoModelForTokenClassification`."""
        from transformers import AutoModelForTokenClassification

        return AutoModelForTokenClassification

    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock model; the tags are its `config.id2label`."""
        from lm_modules.model.stock import open_model

        return open_model(
            self.auto_class(base),
            base,
            from_random_weights=from_random_weights,
            id2label=dict(enumerate(labels)),
            label2id={label: index for index, label in enumerate(labels)},
        )

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the windows; their target is the numbers of their words' tags, their places those of the words.

        A tag that is none of the labels, as a test may have, has the number that the loss leaves out.
        """
        tags = fields.get("tags")
        number_of = {label: number for number, label in enumerate(labels)}
        return [
            Encoded(
                window.token_ids,
                target=None if tags is None else [number_of.get(tags[word], IGNORED) for _, word in window.places],
                places=window.places,
            )
            for window in windows(fields["words"], tokenizer, self.piece)
        ]

    def balanced(self, encoded: Sequence[Sequence[Encoded]]) -> Sequence[Sequence[Encoded]]:
        """Return the windows with the weight of each word's tag."""
        tags = [tag for rows in encoded for row in rows for tag in row.target if tag != IGNORED]
        weight_of = {**balanced_weights(tags), IGNORED: 0.0}
        return [[replace(row, weights=[weight_of[tag] for tag in row.target]) for row in rows] for rows in encoded]

    def num_targets(self, encoded: Sequence[Encoded]) -> int:
        """Return how many words have a tag to learn."""
        return sum(tag != IGNORED for each in encoded for tag in each.target)

    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return the inputs, `asked` (a one where a tag is), and where all are known `labels` (-100 elsewhere).

        With their `weights`, where they are weighed; all are [batch, length].
        """
        batch = inputs_of(encoded, pad_token_id)
        batch["asked"] = padded([_at_places(each, [1] * len(each.places), 0) for each in encoded], 0)
        if all(each.target is not None for each in encoded):
            batch["labels"] = padded([_at_places(each, each.target, IGNORED) for each in encoded], IGNORED)
        if all(each.weights is not None for each in encoded):
            batch["weights"] = padded([_at_places(each, each.weights, 0.0) for each in encoded], 0.0)
        return batch

    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy in nats over the words."""
        from torch.nn.functional import cross_entropy

        logits_BLK, labels_BL = outputs_of(network, batch), batch["labels"]
        losses_BL = cross_entropy(
            logits_BLK.transpose(1, 2),
            labels_BL,
            ignore_index=IGNORED,
            label_smoothing=label_smoothing,
            reduction="none",
        )
        if "weights" in batch:
            losses_BL = losses_BL * batch["weights"]
        return losses_BL.sum() / (labels_BL != IGNORED).sum()

    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the most probable tags of the words of each row, with the probability that all of them are right."""
        import torch

        from lm_modules.model.stock import labels_of

        with torch.inference_mode():
            log_probabilities_BLK = outputs_of(network, batch).log_softmax(-1)
        names, found = labels_of(network), []
        for row, asked_L in enumerate(batch["asked"].bool()):
            those_WK = log_probabilities_BLK[row, asked_L]
            best = those_WK.max(-1)
            loss, num_targets = None, len(those_WK)
            if "labels" in batch:
                tags_W = batch["labels"][row, asked_L]
                known_W = tags_W != IGNORED
                num_targets = int(known_W.sum())
                loss = -those_WK[known_W].gather(1, tags_W[known_W, None]).sum().item() / max(num_targets, 1)
            tags = [names[index] for index in best.indices.tolist()]
            found.append(Prediction(tags, best.values.sum().exp().item(), loss, num_targets))
        return found

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return a tag for every word, `O` for one of which the tokenizer leaves nothing."""
        tags = [OUTSIDE] * len(fields["words"])
        for row, said in zip(encoded, found, strict=True):
            for (_, word), tag in zip(row.places, said.value, strict=True):
                tags[word] = tag
        num_targets = sum(each.num_targets for each in found)
        loss = None
        if found and found[0].loss is not None:
            loss = sum((each.loss or 0.0) * each.num_targets for each in found) / max(num_targets, 1)
        return Prediction(tags, math.prod(each.probability or 0.0 for each in found), loss, num_targets)


def _at_places(encoded: Encoded, values: Sequence[N], fill: N) -> list[N]:
    """Return a value at the place of each word, and `fill` at all other tokens."""
    row = [fill] * len(encoded.token_ids)
    for (place, _), value in zip(encoded.places, values, strict=True):
        row[place] = value
    return row
