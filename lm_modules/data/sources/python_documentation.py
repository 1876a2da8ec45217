"""The documentation that every Python installation carries; only the topics of `help()` are imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from lm_modules.data import python_labels, python_library
from lm_modules.data.documents import SPLITS, Document, Profile
from lm_modules.data.inputs.parts import Part
from lm_modules.data.sources import Source

Text = Literal["topics", "docstrings", "source"]
PROFILES: dict[Text, Profile] = {"topics": "wrapped", "docstrings": "docstrings", "source": "code"}


class PythonDocumentation(Source):
    """The language reference, and the docstrings and source of the standard library, read by `ast`.

    Tests, encodings, idlelib's tests, lib2to3 and ensurepip are left out. A document's group is its top-level module;
    where `modules` chooses none that is held out, its file, so that a few modules fill all splits.
    """

    kind: Literal["python_documentation"] = "python_documentation"
    texts: tuple[Text, ...] = Field(default=("topics", "docstrings", "source"), min_length=1)
    """Which texts: sections of the language reference, docstrings, source files."""
    modules: tuple[str, ...] | None = None
    """Top-level modules to read; null reads all."""
    held_out_seed: int | None = 0
    """Chooses the modules that are held out for validation and test, those of the labelled set `python_topics` with the
    same seed, so that its test is unseen by pretraining; null holds no module out."""

    @model_validator(mode="before")
    @classmethod
    def _take_the_former_name(cls, values: Any) -> Any:
        """Take `parts` for `texts`, as it was called before."""
        if isinstance(values, dict) and "parts" in values and "texts" not in values:
            return {"texts" if key == "parts" else key: value for key, value in values.items()}
        return values

    def names(self) -> tuple[str, ...]:
        """Return one name for each kind of text."""
        return tuple(f"{self.name or self.kind}/{each}" for each in self.texts)

    def documents(self, part: Part | None = None) -> Iterator[Document]:
        """Yield topics, then the modules held out, then the others: of two copies the one held out is kept."""
        if "topics" in self.texts:
            for topic, text in python_library.topics().items():
                yield self._document("topics", f"topic:{topic}", text, f"topic:{topic}")
        modules = [each for each in python_library.modules() if self.modules is None or each.group in self.modules]
        split_of = self._held_out({module.group for module in modules})
        default = "train" if split_of else None
        for wanted in (*reversed(SPLITS), None):
            for module in modules:
                split = split_of.get(module.group, default)
                group = module.name if self.modules and not split_of else module.group
                if split == wanted:
                    yield from self._module_documents(module, group, split)

    def _held_out(self, chosen: set[str]) -> dict[str, str]:
        """Return the split of those chosen modules that are held out."""
        if self.held_out_seed is None:
            return {}
        split_of = python_labels.held_out(self.held_out_seed).split_of
        return {group: split for group, split in split_of.items() if group in chosen}

    def _module_documents(self, module: python_library.Module, group: str, split: str | None) -> Iterator[Document]:
        if "docstrings" in self.texts:
            for place, text in module.docstrings:
                yield self._document("docstrings", f"docstring:{place}", text, group, split)
        if "source" in self.texts:
            yield self._document("source", f"source:{module.name}", module.text, group, split)

    def _document(self, kind: Text, id: str, text: str, group: str, split: str | None = None) -> Document:
        return self.document(id, text, group, split, subset=kind, profile=PROFILES[kind])

    def check(self) -> None:
        """Do nothing: every Python has what is read here, and to read it takes seconds."""

    def fingerprint(self) -> str:
        """Return a digest of the interpreter and of the files."""
        return python_library.fingerprint()
