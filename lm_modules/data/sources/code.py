"""Trees of source code: one file a document."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from configs.base import nearest
from lm_modules.data.documents import Document, Profile, Unreadable
from lm_modules.data.inputs.archives import archive_kind
from lm_modules.data.inputs.compression import without_compression
from lm_modules.data.inputs.encodings import Encoding, decoded, in_utf8
from lm_modules.data.inputs.file_source import FileSource
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.parts import Part
from lm_modules.data.inputs.streams import Stream

LANGUAGES = {
    "assembly": (".asm", ".s"),
    "c": (".c", ".h"),
    "c++": (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"),
    "c#": (".cs",),
    "clojure": (".clj", ".cljs"),
    "css": (".css", ".less", ".scss"),
    "dart": (".dart",),
    "elixir": (".ex", ".exs"),
    "erlang": (".erl", ".hrl"),
    "fortran": (".f", ".f03", ".f08", ".f90", ".f95"),
    "go": (".go",),
    "haskell": (".hs",),
    "java": (".java",),
    "javascript": (".cjs", ".js", ".jsx", ".mjs"),
    "julia": (".jl",),
    "kotlin": (".kt", ".kts"),
    "lisp": (".el", ".lisp"),
    "lua": (".lua",),
    "ocaml": (".ml", ".mli"),
    "perl": (".pl", ".pm"),
    "php": (".php",),
    "python": (".py", ".pyi"),
    "r": (".r",),
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "scheme": (".scm", ".ss"),
    "shell": (".bash", ".sh", ".zsh"),
    "sql": (".sql",),
    "swift": (".swift",),
    "typescript": (".ts", ".tsx"),
    "zig": (".zig",),
}
OTHERS = {"node_modules", "bower_components", "vendor", "vendored", "third_party", "third-party", "site-packages"}
OTHERS |= {"dist-packages", "__pycache__", "_vendor", "venv"}
MINIFIED = (".min.js", ".min.css", ".bundle.js")


class Code(FileSource):
    """Files of source code, their language told by their suffix; hidden folders and those of others' code left out.

    Left out are `vendor`, `node_modules` and their like, and what is minified. What is no text is set aside. Documents
    of a language are a source of their own in reports and filters (`code/python`).
    """

    suffixes: ClassVar[tuple[str, ...]] = tuple(suffix for each in LANGUAGES.values() for suffix in each)
    fitting_profile: ClassVar[Profile] = "code"

    kind: Literal["code"] = "code"
    languages: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The programming languages to read, such as [python, c]; null reads all that are known."""
    max_document_bytes: int | None = Field(default=1_048_575, gt=0)
    """Longer files, which are mostly generated, are set aside; ROOTS took the same bound. Null takes all."""
    encoding: Encoding = None

    @model_validator(mode="after")
    def _languages_are_known(self) -> Self:
        for each in self.languages or ():
            if each not in LANGUAGES:
                raise ValueError(f"unknown programming language {each!r}{nearest(each, LANGUAGES)}")
        return self

    def names(self) -> tuple[str, ...]:
        """Return one name for each programming language."""
        return tuple(f"{self.name or self.kind}/{each}" for each in self.languages or LANGUAGES)

    def files(self) -> list[InputFile]:
        """Return the files in the languages, and archives that were named."""
        found = super().files()
        if len(found) == 1 and not found[0].problem:
            return found
        wanted = [each for each in found if each.problem or archive_kind(each.name) or self.wanted(each.name)]
        if not wanted:
            raise ValueError(
                f"{self.path!r} has no code in {', '.join(self.languages or ('any known language',))}, or only that of "
                "others (vendored, minified); name another folder or other languages"
            )
        return wanted

    def wanted(self, name: str) -> bool:
        """Return whether a file is in one of the languages, and not another's code."""
        place = PurePosixPath(name)
        if not OTHERS.isdisjoint(part.lower() for part in place.parts) or place.name.lower().endswith(MINIFIED):
            return False
        return language(name) in (self.languages or LANGUAGES)

    def read(self, stream: Stream, part: Part) -> Iterator[Document | Unreadable]:
        """Yield the file."""
        text = self.whole_text(decoded(in_utf8(stream.binary, self.encoding)))
        yield self.document(stream.name, text, group=stream.name, subset=language(stream.name) or "other")


def language(name: str) -> str:
    """Return the programming language of a file by its suffix, or nothing."""
    suffix = PurePosixPath(without_compression(name)).suffix.lower()
    return next((each for each, suffixes in LANGUAGES.items() if suffix in suffixes), "")
