"""The relation between two entities of a text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import model_validator

from lm_modules.heads import Encoded, Fields
from lm_modules.heads._fields import label_of, list_of, text_of
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.serving.marked_pairs import Pair, fitting, from_tags
from lm_modules.serving.relation_service import RelationService
from lm_modules.serving.relations_in_text import DIRECTIONS, NO_RELATION

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class RelationExtraction(SequenceClassification):
    """The relation of two marked entities, by `transformers.AutoModelForSequenceClassification`.

    Entities are marked by punctuation, with their types if these are told (Zhou and Chen 2021, arXiv 2102.01373). The
    paper answers from the states at the two marks; the stock architectures answer from their pooler or the last token,
    which sees the marks. Of a text that is too long, what is far from both goes first, then what is between them.

    Labels are any; `Cause-Effect(e1,e2)` and `Cause-Effect(e2,e1)` are one relation in two directions to its metrics.
    """

    optional: ClassVar[tuple[str, ...]] = ("head", "tail", "head_type", "tail_type")
    of_examples: ClassVar[tuple[str, ...]] = ("types",)
    answers: ClassVar[str] = "labels"
    metrics: ClassVar[tuple[str, ...]] = ("relation_f1", "relation_micro_f1", "accuracy")
    service: ClassVar[str] = "relation"
    usage: ClassVar[str] = """\
from transformers import pipeline

relation = pipeline("text-classification", model=directory)
relation("The @ storm @ caused # floods #.", truncation=True)  # the head and the tail, marked as in training"""
    usage_with_types: ClassVar[str] = usage.replace("@ storm @", "@ * event * storm @").replace(
        "# floods #", "# ^ event ^ floods #"
    )

    kind: Literal["relation_extraction"] = "relation_extraction"  # type: ignore[assignment]
    types: bool = False
    """Tell the model the types of the two (`head_type`, `tail_type`), which every example then has."""

    @model_validator(mode="after")
    def _one_relation(self) -> Self:
        if self.multi_label:
            raise ValueError("two entities have one relation here; set multi_label to false")
        return self

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return the lines, with the types of the two where the model is told them."""
        return self.usage_with_types if self.types else self.usage

    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the text, the places [start, end] of head and tail in it, their types, and the label.

        Places are counted in characters from 0. A text without them has `<e1>...</e1>` and `<e2>...</e2>`.
        """
        text = text_of(fields, "text")
        if "head" in fields or "tail" in fields:
            found: dict[str, Any] = {"text": text}
            found |= {name: _span_of(fields, name, text) for name in ("head", "tail")}
        else:
            pair = from_tags(text)
            found = {"text": pair.text, "head": list(pair.head), "tail": list(pair.tail)}
            for name in ("head", "tail"):
                _require_letters(found[name], name, pair.text)
        if self.types:
            for name in ("head_type", "tail_type"):
                if name not in fields:
                    raise ValueError(f"no field {name!r}")
                found[name] = label_of(fields[name], name)
        if self.target in fields:
            found[self.target] = super().checked({"text": text, self.target: fields[self.target]})[self.target]
        return found

    def text(self, fields: Fields) -> str:
        """Return the text with its marks: another pair of the same text is another example."""
        return self._pair(fields).marked()

    def texts(self, fields: Fields) -> tuple[str, ...]:
        """Return the text without its marks: where no splits are given, all pairs of it go to one."""
        return (fields["text"],)

    def _pair(self, fields: Fields) -> Pair:
        types = (fields["head_type"], fields["tail_type"]) if self.types else (None, None)
        return Pair(fields["text"], tuple(fields["head"]), tuple(fields["tail"]), *types)

    def in_raw_texts(self, directory: str | Path, examples: Sequence[Fields]) -> dict[str, tuple[set[Any], set[Any]]]:
        """Return the relations (label, head, tail) of each text, of models that have learned entities beside.

        Types are passed over, as in the setting "boundaries" of Bekoulis et al. 2018 (arXiv 1804.07847, section 4.2).
        """
        service = RelationService(directory)
        if service.entities is None:
            return {}
        true: dict[str, set[Any]] = {}
        for each in examples:
            said = true.setdefault(each["text"], set())
            if each[self.target] not in NO_RELATION:
                said.add(_directed(each[self.target], each["head"], each["tail"]))
        return {text: (set(map(_found, service.relations(text))), said) for text, said in true.items()}

    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return the marked text, or what of it fits, and the number of the label."""
        (row,) = super().encode(fields, tokenizer, labels)
        return [replace(row, is_cut=not _fits(self.text(fields), tokenizer))]

    def _tokens(self, fields: Fields, tokenizer: PreTrainedTokenizerBase) -> Any:
        return tokenizer(fitting(self._pair(fields), partial(_fits, tokenizer=tokenizer)), truncation=True)


def _found(relation: Mapping[str, Any]) -> tuple[Any, ...]:
    head, tail = ((relation[end]["start"], relation[end]["end"]) for end in ("head", "tail"))
    return _directed(relation["label"], head, tail)


def _directed(label: str, head: Sequence[int], tail: Sequence[int]) -> tuple[Any, ...]:
    """Return a relation so that it is the same whichever of the two was marked first."""
    along, against = DIRECTIONS
    if label.endswith(against):
        label, head, tail = label.removesuffix(against) + along, tail, head
    return label, tuple(head), tuple(tail)


def _fits(text: str, tokenizer: PreTrainedTokenizerBase) -> bool:
    return len(tokenizer(text, verbose=False)["input_ids"]) <= tokenizer.model_max_length


def _span_of(fields: Fields, name: str, text: str) -> list[int]:
    """Return the start and the end of a part of the text."""
    if name not in fields:
        raise ValueError(f"no field {name!r}")
    span = list_of(fields[name], name)
    if len(span) != 2 or not all(type(each) is int for each in span):
        raise ValueError(f"field {name!r} is no list of a start and an end")
    if not 0 <= span[0] < span[1] <= len(text):
        raise ValueError(f"field {name!r} is no part of the text")
    _require_letters(span, name, text)
    return span


def _require_letters(span: list[int], name: str, text: str) -> None:
    if not text[span[0] : span[1]].strip():
        raise ValueError(f"the {name} is empty")
