"""Docstrings of the standard library, labelled with the chapter of the reference that describes their module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from lm_modules.data import python_labels, python_library
from lm_modules.data.documents import Example
from lm_modules.data.labelled import Labelled


class PythonTopics(Labelled):
    """Chapters of the library reference (https://docs.python.org/3/library/) with 160 docstrings or more, at most 350.

    Split by group, whole modules are held out, and the question is what a text is about. Split at random, docstrings of
    one module stand on both sides, and recognising the module is enough: the score is higher and says less.
    """

    gives: ClassVar[tuple[str, ...]] = ("text", "label")

    kind: Literal["python_topics"] = "python_topics"
    split_by: Literal["group", "random"] = "group"
    """Hold out whole modules, or docstrings at random."""
    held_out_seed: int = 0
    """Chooses the modules that are held out; `python_documentation` with this seed does not train on them. Where
    `split_by` is random, it chooses those of the split by group that is reported beside it."""

    @model_validator(mode="after")
    def _fractions_are_used(self) -> Self:
        if self.split_by == "group":
            for split, fraction in python_labels.FRACTIONS.items():
                why = f"whole modules are held out, near to {fraction:g} of every class"
                self.refuse_without_effect(f"{split}_fraction", why)
        return self

    def examples(self, required: Sequence[str] = gives, optional: Sequence[str] = ()) -> Iterator[Example]:
        """Yield the docstrings, by name."""
        held_out = python_labels.held_out(self.held_out_seed)
        for each in python_labels.balanced_docstrings()[0]:
            fields = {"text": each.text, "label": each.chapter}
            if self.split_by == "random":
                yield Example(each.id, fields)
            elif each.chapter not in held_out.not_separable:
                yield Example(each.id, fields, each.group, held_out.split_of.get(each.group, "train"))

    def check(self, required: Sequence[str] = gives) -> None:
        """Do nothing: every Python has what is read here, and to read it takes seconds."""

    def splits_by(self, split: str = "test") -> str:
        """Return `split_by`."""
        return self.split_by

    def split_otherwise(self) -> Self:
        """Return the set split at random if this one is by group, and the other way round."""
        other: Literal["group", "random"] = "random" if self.split_by == "group" else "group"
        return type(self)(split_by=other, held_out_seed=self.held_out_seed)

    def left_out(self) -> dict[str, int]:
        """Return the docstrings that were not taken, by reason; classes that no split by group can part among them."""
        docstrings, dropped = python_labels.balanced_docstrings()
        if self.split_by == "group":
            not_separable = python_labels.held_out(self.held_out_seed).not_separable
            num = sum(each.chapter in not_separable for each in docstrings)
            dropped = dropped | ({"class that cannot be parted by module": num} if num else {})
        return dropped

    def fingerprint(self) -> str:
        """Return a digest of the interpreter and of the files."""
        return python_library.fingerprint()
