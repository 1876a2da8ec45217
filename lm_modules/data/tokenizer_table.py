"""How well a tokenizer fits held-out text, by language and by source, beside another.

    bytes per token      text that a token stands for; more is better, and rows hold more
    tokens per word      fertility: 1 would be a token for each word (Rust et al. 2021, arXiv 2012.15613, section 3.3)
    one-token words      part of the words that are one token, with the space before them or without

Languages differ in bytes and words, so compare a language with itself under the reference. A word is what `text_words`
says.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_modules.data.documents import Document
from lm_modules.data.encoding import batched, corpus_tokenizer
from lm_modules.data.text_words import words_of

if TYPE_CHECKING:
    import tokenizers


class TokenizerTable:
    """Sums over documents, as they come."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, reference: str | None) -> None:
        self.tokenizer, self.name = tokenizer, reference or "bytes"
        self.other = None if reference is None else reference_tokenizer(reference)
        self.sums: dict[str, defaultdict[str, Counter[str]]] = {
            each: defaultdict(Counter) for each in ("all", "languages", "sources")
        }
        self.words: Counter[str] = Counter()
        self.changed: list[str] = []

    def add(self, documents: Iterable[Document]) -> TokenizerTable:
        """Count documents, and remember which are not given back byte for byte."""
        for batch in batched(documents):
            texts = [each.text for each in batch]
            encoded = self.tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            others = self.other and self.other.encode_batch_fast(texts, add_special_tokens=False)
            for number, (document, encoding) in enumerate(zip(batch, encoded, strict=True)):
                if self.tokenizer.decode(encoding.ids, skip_special_tokens=False) != document.text:
                    self.changed.append(document.id)
                num_bytes = len(document.text.encode())
                reference = len(others[number].ids) if others else num_bytes
                self._count(document, num_bytes, len(encoding.ids), reference)
        return self

    def _count(self, document: Document, num_bytes: int, num_tokens: int, reference: int) -> None:
        words = words_of(document.text)
        self.words.update(words)
        sizes = {"documents": 1, "bytes": num_bytes, "words": len(words), "tokens": num_tokens, "reference": reference}
        for kind, name in (("all", ""), ("languages", document.language or "unknown"), ("sources", document.source)):
            self.sums[kind][name].update(sizes)

    def totals(self) -> dict[str, Any]:
        """Return documents, bytes and tokens of all text."""
        sums = self.sums["all"][""]
        return {each: sums[each] for each in ("documents", "bytes", "tokens")} | {
            "bytes_per_token": _ratio(sums["bytes"], sums["tokens"])
        }

    def as_dict(self) -> dict[str, Any]:
        """Return the table."""
        rows = {kind: {name: _row(each) for name, each in sorted(self.sums[kind].items())} for kind in self.sums}
        return {
            "reference": self.name,
            "one_token_words": self._one_token_words(),
            "all": rows["all"].get("", _row(Counter())),
            "languages": rows["languages"],
            "sources": rows["sources"],
        }

    def _one_token_words(self) -> float | None:
        words = list(self.words)
        spaced, plain = (
            self.tokenizer.encode_batch_fast([f"{space}{word}" for word in words], add_special_tokens=False)
            for space in (" ", "")
        )
        pairs = zip(words, spaced, plain, strict=True)
        one = sum(self.words[word] for word, *found in pairs if min(len(each.ids) for each in found) == 1)
        return _ratio(one, self.words.total())


def reference_tokenizer(name: str) -> tokenizers.Tokenizer:
    """Return the fast tokenizer of a directory or of the Hub."""
    if Path(name).is_dir():
        return corpus_tokenizer(Path(name))
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name).backend_tokenizer
    except (OSError, ValueError, AttributeError) as error:
        raise ValueError(
            f"tokenization.reference {name!r} is no directory with a tokenizer.json, and cannot be had from the Hub "
            f"({error}); correct it, or leave it out"
        ) from error


def _row(sums: Counter[str]) -> dict[str, Any]:
    return {
        "documents": sums["documents"],
        "bytes_per_token": _ratio(sums["bytes"], sums["tokens"]),
        "tokens_per_word": _ratio(sums["tokens"], sums["words"]),
        "reference_bytes_per_token": _ratio(sums["bytes"], sums["reference"]),
        "reference_tokens_per_word": _ratio(sums["reference"], sums["words"]),
    }


def _ratio(one: int, other: int) -> float | None:
    return round(one / other, 4) if other else None
