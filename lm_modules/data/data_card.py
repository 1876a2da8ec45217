"""The data card: what a corpus is made of and what was removed, for people."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lm_modules.data.documents import SPLITS


def data_card(report: dict[str, Any]) -> str:
    """Return the card as Markdown, from the report of the preparation (after Gebru et al. 2018, arXiv 1803.09010)."""
    sections = [
        "# Data card",
        f"{report['documents']:,} documents, {report['characters']:,} characters. "
        f"Fingerprint `{report['fingerprint'][:16]}`, seed {report['seed']}, "
        f"made with {report['interpreter']}.",
        "## Sources",
        _table(("source", "documents read", "kept", "characters kept"), _sources(report)),
        "## Steps",
        _table(("step", "in", "out", "dropped", "rewritten"), _steps(report)),
        "## What was removed, and why",
        _table(("step and reason", "documents"), _reasons(report)) or "Nothing was removed.",
        "Every removed document is a line of `ledger.jsonl`.",
        "## Splits",
        _table(("split", "documents", "characters", "bytes"), _splits(report)),
        "Documents of one group are never parted. A source that holds out whole groups decides their split itself; "
        "for all others a hash of the group, or else of the text, decides.",
        "## Lengths of the documents",
        _table(("unit", *report["lengths"]["characters"]), _lengths(report)),
    ]
    if report["warnings"]:
        sections += ["## Warnings", "\n".join(f"- {warning}" for warning in report["warnings"])]
    sections += [
        "## Limits",
        "Licences and personal data were not examined: the texts carry the terms of their sources. "
        "Near-duplicates, which differ in more than case, spacing or punctuation, were not looked for.",
    ]
    return "\n\n".join(sections) + "\n"


def _table(header: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    if not lines:
        return ""
    ruler = "|" + "|".join([" --- ", *(" ---: " for _ in header[1:])]) + "|"
    return "\n".join(["| " + " | ".join(header) + " |", ruler, *lines])


def _cell(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|").replace("\n", " ")


def _sources(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (name, ends["documents_in"], ends["documents_out"], ends["characters_out"])
        for name, ends in report["sources"].items()
    ]


def _steps(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (
            step["step"],
            step["documents_in"],
            step["documents_out"],
            step["documents_in"] - step["documents_out"],
            step["modified"],
        )
        for step in report["steps"]
    ]


def _reasons(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        (f"{step['step']}: {reason}", count) for step in report["steps"] for reason, count in step["reasons"].items()
    ]


def _splits(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    sizes = report["splits"]
    return [(split, *(sizes[split][unit] for unit in ("documents", "characters", "bytes"))) for split in SPLITS]


def _lengths(report: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(unit, *lengths.values()) for unit, lengths in report["lengths"].items()]
