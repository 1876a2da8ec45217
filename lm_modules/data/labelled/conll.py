"""Tagged words in the files of the CoNLL tasks: a word and its tag a line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lm_modules.data.documents import Unreadable
from lm_modules.data.labelled_table import LabelledTable

DOCUMENT_START = "-DOCSTART-"
FIRST_BYTES = b"\xef\xbb\xbf"


class Conll(LabelledTable):
    """Sentences of CoNLL files (Tjong Kim Sang and De Meulder 2003): a word and its tag a line, blank lines between.

    A line that cannot be used is named, and set aside with its sentence. `-DOCSTART-` begins a document, whose
    sentences stay in one split.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".conll", ".conllu", ".conllx", ".bio", ".iob", ".iob2", ".tsv", ".txt")
    gives: ClassVar[tuple[str, ...]] = ("words", "tags")

    kind: Literal["conll"] = "conll"
    word_column: int = 1
    """The column of the word, counted from 1, or from -1 at the last one."""
    tag_column: int = -1
    """The column of the tag."""
    delimiter: str | None = Field(default=None, min_length=1)
    """What stands between columns; null takes tabs in a line that has some, and else spaces."""
    comment: str | None = Field(default=None, min_length=1)
    """Lines that begin with this are passed over (`"# "` in CoNLL-U)."""
    group_field: str | None = "document"
    """What stays in one split: `document`, from one `-DOCSTART-` to the next, or null for nothing."""

    @field_validator("word_column", "tag_column")
    @classmethod
    def _counted_from_one(cls, value: int) -> int:
        if value == 0:
            raise ValueError("columns are counted from 1, or from -1 at the last one; 0 is none")
        return value

    @field_validator("group_field")
    @classmethod
    def _only_documents(cls, value: str | None) -> str | None:
        if value not in ("document", None):
            raise ValueError(f"{value!r} is none of what a CoNLL file tells; choose document, or null")
        return value

    @model_validator(mode="after")
    def _two_columns(self) -> Self:
        self.refuse_without_effect("columns", "word_column and tag_column say where they are")
        if self.word_column == self.tag_column:
            raise ValueError(f"word_column and tag_column are both {self.tag_column}; give the tag another one")
        return self

    def rows(
        self, file: Path, columns: Sequence[str], others: Sequence[str] = ()
    ) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
        """Yield the sentences of a file, by the number of their first line."""
        document, sentence = 0, _Sentence()
        num_sentences = 0
        with file.open("rb") as lines:
            for number, data in enumerate(lines, start=1):
                line = (data.removeprefix(FIRST_BYTES) if number == 1 else data).rstrip(b"\r\n")
                starts = line.startswith(DOCUMENT_START.encode())
                if starts or not line.strip():
                    num_sentences += bool(sentence)
                    yield from self._ended(sentence, file, document)
                    sentence = _Sentence()
                    document += starts
                elif self.comment is None or not line.startswith(self.comment.encode()):
                    self._read(line, number, sentence)
        num_sentences += bool(sentence)
        yield from self._ended(sentence, file, document)
        if not num_sentences:
            raise ValueError(f"{file} has no sentences; a CoNLL file has a word and its tag on each line")

    def _read(self, line: bytes, number: int, sentence: _Sentence) -> None:
        """Add a line to its sentence, or what is wrong with it."""
        sentence.first = sentence.first or number
        sentence.last = number
        try:
            text = line.decode()
        except UnicodeDecodeError:
            sentence.fault = sentence.fault or ("not UTF-8", number, line.decode("ascii", "replace"))
            return
        values = text.split(self.delimiter) if self.delimiter else text.split("\t" if "\t" in text else None)
        try:
            word, tag = (values[each - (each > 0)].strip() for each in (self.word_column, self.tag_column))
            if len(values) < 2 or not word or not tag:
                raise IndexError
        except IndexError:
            sentence.fault = sentence.fault or ("a word without a tag, or a tag without a word", number, text)
            return
        sentence.words.append(word)
        sentence.tags.append(tag)

    def _ended(
        self, sentence: _Sentence, file: Path, document: int
    ) -> Iterator[tuple[int, dict[str, Any]] | Unreadable]:
        """Yield a sentence, or the lines of one that cannot be used; nothing of an empty one."""
        if sentence.fault:
            reason, number, text = sentence.fault
            more_lines = sentence.last if sentence.last > sentence.first else None
            excerpt = f"line {number}: {text}"
            yield Unreadable(self.kind, str(file), sentence.first, reason, excerpt, more_lines, is_one_example=True)
        elif sentence:
            group = f"{file.name}:{document}" if document else None
            yield sentence.first, {"words": sentence.words, "tags": sentence.tags, "document": group}


@dataclass
class _Sentence:
    """The lines of a sentence so far, with the first thing that is wrong: a reason, its line and what stands there."""

    words: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    fault: tuple[str, int, str] | None = None

    def __bool__(self) -> bool:
        return self.first > 0
