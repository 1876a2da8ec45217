"""The documentation that every Python installation carries; only the topics of `help()` are imported."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from lm_modules.data import python_labels, python_library
from lm_modules.data.documents import SPLITS, Document
from lm_modules.data.sources import Source

Part = Literal["topics", "docstrings", "source"]


class PythonDocumentation(Source):
    """The language reference, and the docstrings and source of the standard library, read by `ast`.

    Tests, encodings, idlelib's tests, lib2to3 and ensurepip are left out. A document's group is its top-level module.
    """

    kind: Literal["python_documentation"] = "python_documentation"
    parts: tuple[Part, ...] = Field(default=("topics", "docstrings", "source"), min_length=1)
    """Which texts: sections of the language reference, docstrings, source files."""
    modules: tuple[str, ...] | None = None
    """Top-level modules to read; null reads all."""
    held_out_seed: int | None = 0
    """Chooses the modules that are held out for validation and test, those of the labelled set `python_topics` with the
    same seed, so that its test is unseen by pretraining; null holds no module out."""

    def names(self) -> tuple[str, ...]:
        """Return one name a part."""
        return tuple(f"{self.name or self.kind}/{part}" for part in self.parts)

    def documents(self) -> Iterator[Document]:
        """Yield topics, then the modules held out, then the others: of two copies the one held out is kept."""
        name = self.name or self.kind
        if "topics" in self.parts:
            for topic, text in python_library.topics().items():
                yield Document(f"topic:{topic}", text, f"{name}/topics", group=f"topic:{topic}")
        split_of = {} if self.held_out_seed is None else python_labels.held_out(self.held_out_seed).split_of
        default = None if self.held_out_seed is None else "train"
        modules = [each for each in python_library.modules() if self.modules is None or each.group in self.modules]
        for wanted in (*reversed(SPLITS), None):
            for module in modules:
                split = split_of.get(module.group, default)
                if split == wanted:
                    yield from self._module_documents(module, name, split)

    def _module_documents(self, module: python_library.Module, name: str, split: str | None) -> Iterator[Document]:
        if "docstrings" in self.parts:
            for place, text in module.docstrings:
                yield Document(f"docstring:{place}", text, f"{name}/docstrings", module.group, split)
        if "source" in self.parts:
            yield Document(f"source:{module.name}", module.text, f"{name}/source", module.group, split)

    def fingerprint(self) -> str:
        """Return a digest of the interpreter and of the files."""
        return python_library.fingerprint()
