"""What flows through data preparation: documents, labelled examples, and the lines that could not be read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeVar

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
    """A text with its label; `group` and `split` as in `Document`."""

    id: str
    text: str
    label: str
    group: str | None = None
    split: str | None = None


Text = TypeVar("Text", Document, Example)


def with_valid_unicode(each: Text) -> Text:
    """Return a document or an example that UTF-8 can hold."""
    return replace(each, id=encodable(each.id), text=encodable(each.text), group=each.group and encodable(each.group))


def encodable(text: str) -> str:
    """Return the text with U+FFFD for every half of a surrogate pair, which JSON can escape and UTF-8 cannot hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


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

    @property
    def num_lines(self) -> int:
        """How many lines are lost; a whole file counts as one."""
        return self.last_line - self.line + 1 if self.line and self.last_line else 1
