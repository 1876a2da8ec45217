"""The data card: what a corpus is made of and what was removed, as a page and as Markdown.

After Gebru et al. 2018, "Datasheets for datasets" (arXiv 1803.09010), as far as a program can know the answers. The
Markdown begins with the header that the Hugging Face Hub reads.
"""

from __future__ import annotations

from typing import Any

import yaml

from lm_modules.reporting import markdown
from lm_modules.reporting.blocks import Headline, Paragraph, Section
from lm_modules.reporting.page import page
from lm_modules.reporting.sections import corpus, documents
from lm_modules.reporting.words import count, percent, size

SAMPLES_PER_RULE = 3


def as_html(report: dict[str, Any], samples: list[dict[str, Any]]) -> str:
    """Return the page, from the report of a preparation and samples of what it dropped."""
    return page("Data card", "Corpus", _subtitle(report), _headlines(report), _sections(report, samples))


def as_markdown(report: dict[str, Any], samples: list[dict[str, Any]]) -> str:
    """Return the same as Markdown."""
    text = markdown.render("Data card", _subtitle(report), _headlines(report), _sections(report, samples))
    return _hub_header(report) + text


def _subtitle(report: dict[str, Any]) -> str:
    return f"Fingerprint {report['fingerprint'][:16]}, seed {report['seed']}, made with {report['interpreter']}"


def _sections(report: dict[str, Any], samples: list[dict[str, Any]]) -> list[Section]:
    sections = [
        corpus.corpus(report),
        corpus.splits(report),
        *documents.all_of(report),
        documents.dropped(_few(samples)),
        _limits(report),
    ]
    return [each for each in sections if each.blocks]


def _headlines(report: dict[str, Any]) -> list[Headline]:
    read = sum(ends["documents_in"] for ends in report["sources"].values())
    kept = report["documents"]
    known = [each for each in report["languages"] if each != "unknown"]
    return [
        Headline("Documents", count(kept), f"of {count(read)} read, {percent(kept / read)}" if read else "none read"),
        Headline("Text", size(report["bytes"]), f"{count(report['characters'])} characters"),
        Headline("Languages", count(len(known)) if known else "-", ", ".join(known[:5]) or "not identified"),
        Headline("Warnings", count(len(report["warnings"])), "see below" if report["warnings"] else "none"),
    ]


def _limits(report: dict[str, Any]) -> Section:
    """Return what was not looked at."""
    kinds = {each["kind"] for name in ("cleaners", "deduplication") for each in report["config"][name]}
    missing = []
    if "personal_data" not in kinds:
        missing.append("Personal data was not looked for.")
    if not kinds & {"minhash", "simhash"}:
        missing.append("Near-duplicates, which differ in more than case, spacing or punctuation, were not looked for.")
    if not report.get("contamination"):
        missing.append("Contamination with evaluation sets was not looked for.")
    text = " ".join([*missing, "The texts carry the terms of their sources."])
    return Section("Limits", [Paragraph(text)])


def _few(samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return some samples of each rule."""
    kept: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for each in samples:
        kept.setdefault((each["step"], each["reason"]), []).append(each)
    return [each for rule in kept.values() for each in rule[:SAMPLES_PER_RULE]]


def _hub_header(report: dict[str, Any]) -> str:
    """Return the header of a card on the Hugging Face Hub."""
    languages = [name for name in report["languages"] if name != "unknown"]
    licences = sorted({each["licence"] for each in report.get("provenance", []) if each["licence"]})
    header: dict[str, Any] = {"task_categories": ["text-generation"], "pretty_name": "Corpus"}
    header |= {"language": languages} if languages else {}
    header |= {"license": licences} if licences else {}
    return f"---\n{yaml.safe_dump(header, sort_keys=True)}---\n\n"
