"""The data card: what was read, what was dropped and why, how long the documents are; and its size in tokens."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from lm_modules.reporting.blocks import Block, Cell, Drawing, Drawings, Figures, Paragraph, Section, Table
from lm_modules.reporting.charts import bar, histogram
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.words import count, figure, percent, size, title


def corpus(data: dict[str, Any] | None) -> Section:
    """Return the funnel from documents read to documents kept, the reasons of the drops, the lengths, the warnings."""
    if not data:
        return Section("Corpus")
    figures: list[tuple[str, Cell]] = [
        ("documents kept", count(data["documents"])),
        ("characters", count(data["characters"])),
        ("text", size(data["bytes"])),
        ("fingerprint", data["fingerprint"][:12]),
        ("lines of the ledger", count(data["ledger_lines"])),
        ("read with", data["interpreter"]),
    ]
    blocks: list[Block] = [Figures(figures), *(Paragraph(warning, "warn") for warning in data["warnings"])]
    blocks += [_sources(data["sources"]), _funnel(data["steps"]), _amounts(data)]
    if any(step["reasons"] for step in data["steps"]):
        blocks.append(_reasons(data["steps"]))
    charts = [_lengths(unit, percentiles) for unit, percentiles in data["lengths"].items() if percentiles]
    return Section("Corpus", [*blocks, Drawings(charts)])


def _sources(sources: dict[str, dict[str, int]]) -> Table:
    rows: list[list[Cell]] = []
    most = max((ends["characters_out"] for ends in sources.values()), default=0) or 1
    for name, ends in sources.items():
        numbers = [count(ends[key]) for key in ("documents_in", "documents_out", "characters_out")]
        rows.append([name, *numbers, Drawing(bar(ends["characters_out"] / most, numbers[-1]), "")])
    columns = ["source", "read", "kept", "characters kept", ""]
    return Table(columns, rows, numeric=frozenset(columns[1:4]))


def _funnel(steps: list[dict[str, Any]]) -> Table:
    rows: list[list[Cell]] = []
    first = max((step["documents_in"] for step in steps), default=0) or 1
    for step in steps:
        into, out = step["documents_in"], step["documents_out"]
        share = percent((into - out) / into) if into else "-"
        numbers = [count(into), count(out), count(into - out), share, count(step["modified"])]
        rows.append([step["step"], *numbers, Drawing(bar(out / first, f"{count(out)} left"), "")])
    columns = ["step", "in", "out", "dropped", "share", "rewritten", ""]
    return Table(columns, rows, "Documents, in the order of the steps.", frozenset(columns[1:6]))


def _amounts(data: dict[str, Any]) -> Table:
    """Return the text before and after each step, and about how many tokens that is, by the mean of what is left."""
    found = data.get("tokens", {"splits": {}})["splits"].values()
    num_bytes, num_tokens = (sum(each[unit] for each in found) for unit in ("num_bytes", "num_tokens"))
    tokens_each = num_tokens / num_bytes * data["bytes"] / data["characters"] if num_bytes else 0.0
    rows: list[list[Cell]] = []
    for step in data["steps"]:
        sizes = (step["characters_in"], step["characters_out"])
        rows.append([step["step"], *map(count, sizes), *(count(round(each * tokens_each)) for each in sizes)])
    columns, caption = ["step", "characters in", "out"], "Text, in the order of the steps."
    if not num_bytes:
        return Table(columns, [row[:3] for row in rows], caption, frozenset(columns[1:]))
    columns += ["tokens in, about", "out, about"]
    return Table(columns, rows, f"{caption} Tokens by the mean of the text that is left.", frozenset(columns[1:]))


def _reasons(steps: list[dict[str, Any]]) -> Table:
    found = [(number_of, step["step"], reason) for step in steps for reason, number_of in step["reasons"].items()]
    rows: list[list[Cell]] = [
        [step, reason, count(number_of)] for number_of, step, reason in sorted(found, reverse=True)
    ]
    caption = "Why documents were dropped: the first step that objected. Each one is a line of ledger.jsonl."
    return Table(["step", "reason", "documents"], rows, caption, frozenset({"documents"}))


def _lengths(unit: str, percentiles: dict[str, int]) -> Drawing:
    words = f"Length of the kept documents in {unit}: " + ", ".join(
        f"{name} {count(value)}" for name, value in percentiles.items()
    )
    # Between two percentiles lies a known share of the documents.
    ends = [(float(name.removeprefix("p")), float(value)) for name, value in percentiles.items()]
    bins = [(low, high, (after - before) / 100) for (before, low), (after, high) in pairwise(ends)]
    picture = histogram(bins, words, f"{unit}, logarithmic; the area is the share of documents")
    return Drawing(picture, f"{words}.", title=f"Length of the documents in {unit}")


def splits(data: dict[str, Any]) -> Section:
    """Return the size of each split in documents, characters and bytes, and how they were made."""
    units = ("documents", "characters", "bytes")
    rows: list[list[Cell]] = [[name, *(count(each[unit]) for unit in units)] for name, each in data["splits"].items()]
    how = (
        "Documents of one group are never parted. A source that holds out whole groups decides their split itself; for "
        "all others a hash of the group, or else of the text, decides."
    )
    blocks: list[Block] = [Table(["split", *units], rows, how, frozenset(units))]
    return Section("Splits", blocks + ([sizes_in_tokens(data["tokens"])] if data.get("tokens") else []))


def tokens(facts: ReportFacts) -> Section:
    """Return how the tokenizer fits the text, the size of each split, and what is read more or less than once."""
    blocks: list[Block] = []
    if facts.tokenizer:
        simple = {key: value for key, value in facts.tokenizer.items() if isinstance(value, int | float | str)}
        simple |= {"tokenizer_digest": str(facts.tokenizer.get("tokenizer_digest", "-"))[:12]}
        blocks.append(Figures([(title(key), figure(key, value)) for key, value in simple.items()]))
        if table := facts.tokenizer.get("table"):
            blocks.append(_fit(table))
    if facts.tokens:
        blocks.append(sizes_in_tokens(facts.tokens))
        blocks += [_epochs(kind, rows) for kind, rows in facts.tokens.get("mixture", {}).items() if _are_mixed(rows)]
    return Section("Tokens", blocks)


def sizes_in_tokens(meta: dict[str, Any]) -> Table:
    """Return the size of each split in tokens."""
    rows: list[list[Cell]] = []
    for name, split in meta["splits"].items():
        each = split["num_bytes"] / split["num_tokens"] if split["num_tokens"] else 0.0
        sizes = [count(split["num_documents"]), count(split["num_tokens"]), size(split["num_bytes"]), f"{each:.2f}"]
        rows.append([name, *sizes])
    columns = ["split", "documents", "tokens", "text", "bytes a token"]
    caption = f"{8 * int(meta['dtype'][-1])}-bit integers on disk; a vocabulary of {count(meta['vocab_size'])} tokens."
    return Table(columns, rows, caption, frozenset(columns[1:]))


def _fit(table: dict[str, Any]) -> Table:
    """Return how a tokenizer fits each language and source, beside another."""
    rows: list[list[Cell]] = []
    for kind in ("all", "languages", "sources"):
        for name, each in table[kind].items() if kind != "all" else [("all", table["all"])]:
            keys = ("bytes_per_token", "tokens_per_word", "reference_bytes_per_token", "reference_tokens_per_word")
            found = ["-" if each[key] is None else f"{each[key]:.2f}" for key in keys]
            rows.append([{"languages": "language", "sources": "source"}.get(kind, ""), name, *found])
    other = table["reference"]
    columns = [
        "",
        "held-out text",
        "bytes a token",
        "tokens a word",
        f"bytes a token, {other}",
        f"tokens a word, {other}",
    ]
    share = table["one_token_words"]
    caption = f"{percent(share)} of the words are one token." if share is not None else ""
    return Table(columns, rows, caption, frozenset(columns[2:]))


def _are_mixed(rows: dict[str, dict[str, float]]) -> bool:
    return any(each["epochs"] != 1 for each in rows.values())


def _epochs(kind: str, rows: dict[str, dict[str, float]]) -> Table:
    total = sum(each["tokens"] for each in rows.values()) or 1
    cells: list[list[Cell]] = [
        [name, count(int(each["tokens"])), percent(each["tokens"] / total), f"{each['epochs']:.2f}"]
        for name, each in rows.items()
    ]
    columns = [kind, "training tokens", "share", "epochs"]
    return Table(columns, cells, "How often training reads the documents in one pass.", frozenset(columns[1:]))
