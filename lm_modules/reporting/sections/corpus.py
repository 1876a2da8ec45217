"""The data card: what was read, what was dropped and why, how long the documents are; and what became of it as tokens."""

from __future__ import annotations

from typing import Any

from lm_modules.reporting.blocks import Block, Cell, Drawing, Drawings, Figures, Paragraph, Section, Table
from lm_modules.reporting.charts import bar, histogram
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.words import count, number, percent, size, title


def corpus(facts: ReportFacts) -> Section:
    """Return the funnel from documents read to documents kept, the reasons of the drops, the lengths, the warnings."""
    return Section("Corpus")


def tokens(facts: ReportFacts) -> Section:
    """Return the figures of the tokenizer and the size of each split in documents, tokens and bytes."""
    blocks: list[Block] = []
    if facts.tokenizer:
        simple = {key: value for key, value in facts.tokenizer.items() if isinstance(value, int | float)}
        blocks.append(Figures([(title(key), number(value)) for key, value in simple.items()]))
    if facts.tokens:
        blocks.append(_splits(facts.tokens))
    return Section("Tokens", blocks)


def _splits(meta: dict[str, Any]) -> Table:
    rows: list[list[Cell]] = []
    for name, split in meta["splits"].items():
        each = split["num_bytes"] / split["num_tokens"] if split["num_tokens"] else 0.0
        sizes = [count(split["num_documents"]), count(split["num_tokens"]), size(split["num_bytes"]), f"{each:.2f}"]
        rows.append([name, *sizes])
    columns = ["split", "documents", "tokens", "text", "bytes a token"]
    caption = f"{meta['dtype'].lstrip('<')} on disk; a vocabulary of {count(meta['vocab_size'])} tokens."
    return Table(columns, rows, caption, frozenset(columns[1:]))
