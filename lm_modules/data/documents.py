"""What flows through data preparation: documents, labelled examples, and the lines that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

SPLITS = ("train", "validation", "test")
Profile = Literal["web", "wrapped", "code", "docstrings", "none"]
"""What kind of text a source has, which decides what rules fit it: prose from the web, prose with lines broken at a
width, source code, documentation in code, or text that no rule is made for."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text and where it comes from.

    `group` names what must not be torn apart by the split (a module, a book). `split` is set by a source that has its
    own held-out part and is respected unless a split would be empty; None leaves it to a hash of the group or the text.
    `language` is a code of ISO 639-1 ("en"), or of 639-3 where there is none, and None until it is known.
    """

    id: str
    text: str
    source: str
    group: str | None = None
    split: str | None = None
    profile: Profile = "web"
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """What is asked and what is right, by the names of the head's fields (text and label, say).

    `group` and `split` as in `Document`. `file` and `line`, or row, from 1, say where it was read, as in `Unreadable`.
    """

    id: str
    fields: Mapping[str, Any]
    group: str | None = None
    split: str | None = None
    file: str | None = None
    line: int | None = None


def with_valid_unicode(document: Document) -> Document:
    """Return a document that UTF-8 can hold."""
    group = document.group and encodable(document.group)
    return replace(document, id=encodable(document.id), text=encodable(document.text), group=group)


def encodable(value: Any) -> Any:
    """Return a text, or what JSON holds, with U+FFFD for every half of a surrogate pair.

    JSON can escape these, and UTF-8 cannot hold them.
    """
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return value
    if isinstance(value, Mapping):
        return {encodable(name): encodable(each) for name, each in value.items()}
    return [encodable(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A file or lines that could not be read: set aside, named in the ledger, counted, never guessed at.

    `line` counts from 1 and is None when the whole file is unreadable; `last_line` is set when more than one is lost.
    """

    source: str
    file: str
    line: int | None
    reason: str
    excerpt: str = ""
    last_line: int | None = None
    is_one_example: bool = False
    """Its lines are one example, as those of a sentence are."""

    @property
    def num_lines(self) -> int:
        """How many lines are lost; a whole file counts as one."""
        return self.last_line - self.line + 1 if self.line and self.last_line else 1

    @property
    def num_examples(self) -> int:
        """How many examples are lost, as far as the lines tell."""
        return 1 if self.is_one_example else self.num_lines
