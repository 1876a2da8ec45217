"""What is known of a corpus' documents: languages, copies, what was replaced, contamination, where all is from."""

from __future__ import annotations

from typing import Any

from lm_modules.reporting.blocks import Block, Cell, Code, Drawing, Paragraph, Section, Table
from lm_modules.reporting.charts import bar
from lm_modules.reporting.words import count, percent

MOST_LANGUAGES = 30


def all_of(report: dict[str, Any] | None) -> list[Section]:
    """Return all sections that figures are enough for."""
    return [each(report) for each in (languages, copies, replaced, contamination, provenance)] if report else []


def languages(report: dict[str, Any]) -> Section:
    """Return how much of the corpus is in which language."""
    found = report.get("languages", {})
    if set(found) <= {"unknown"}:
        return Section("Languages")
    most = max((each["characters"] for each in found.values()), default=0) or 1
    rows: list[list[Cell]] = [
        [name, count(each["documents"]), count(each["characters"]), Drawing(bar(each["characters"] / most, name), "")]
        for name, each in list(found.items())[:MOST_LANGUAGES]
    ]
    more = len(found) - MOST_LANGUAGES
    caption = f"{more} smaller ones are not shown." if more > 0 else ""
    columns = ["language", "documents", "characters", ""]
    not_judged = [Paragraph(f"A filter that cannot judge keeps: {each}.") for each in report.get("not_judged", [])]
    return Section("Languages", [Table(columns, rows, caption, frozenset(columns[1:3])), *not_judged])


def copies(report: dict[str, Any]) -> Section:
    """Return, for each way of finding copies, the clusters: how many, how large, and the largest."""
    blocks: list[Block] = []
    for step, found in report.get("clusters", {}).items():
        sizes = ", ".join(f"{count(number)} of {size}" for size, number in found["sizes"].items())
        blocks.append(
            Paragraph(
                f"{step}: {count(found['copies'])} copies in {count(found['clusters'])} clusters"
                f"{f' ({sizes} documents)' if sizes else ''}; the first of each was kept."
            )
        )
        if found["largest"]:
            rows: list[list[Cell]] = [
                [count(each["size"]), each["kept"], ", ".join(each["copies"])] for each in found["largest"]
            ]
            columns = ["documents", "kept", "some of its copies"]
            blocks.append(Table(columns, rows, f"The largest clusters of {step}.", frozenset(columns[:1])))
        between = [each for each in found["copies_by_sources"] if each["kept"] != each["copy"]]
        if between:
            pairs: list[list[Cell]] = [[each["kept"], each["copy"], count(each["copies"])] for each in between]
            blocks.append(Table(["kept in", "copy in", "copies"], pairs, "Over sources.", frozenset({"copies"})))
    return Section("Copies", blocks)


def replaced(report: dict[str, Any]) -> Section:
    """Return what was taken out of the texts, by type; the texts themselves are nowhere."""
    rows: list[list[Cell]] = [
        [step["step"], name, count(number)]
        for step in report["steps"]
        for name, number in step.get("replaced", {}).items()
    ]
    if not rows:
        return Section("Replaced")
    caption = "Each was replaced by a word for its type. What was found is written down nowhere."
    return Section("Replaced", [Table(["step", "type", "times"], rows, caption, frozenset({"times"}))])


def contamination(report: dict[str, Any]) -> Section:
    """Return, for each evaluation set, how many of its items stand in the training text."""
    rows: list[list[Cell]] = [
        [name, *(count(each[key]) for key in ("items", "searched", "hit")), _share(each), count(each["documents"])]
        for name, each in report.get("contamination", {}).items()
    ]
    if not rows:
        return Section("Contamination")
    columns = ["evaluation set", "items", "looked for", "found", "share", "documents that hold some"]
    caption = "Items too short to be told from ordinary words are not looked for."
    return Section("Contamination", [Table(columns, rows, caption, frozenset(columns[1:]))])


def _share(found: dict[str, int]) -> str:
    return percent(found["hit"] / found["searched"]) if found["searched"] else "-"


def provenance(report: dict[str, Any]) -> Section:
    """Return where the documents come from, under which licence, and what exactly was read."""
    rows: list[list[Cell]] = [
        [each["name"], each["kind"], each["origin"] or "-", each["licence"] or "unknown", each["fingerprint"][:12]]
        for each in report.get("provenance", [])
    ]
    if not rows:
        return Section("Provenance")
    unknown = [each["name"] for each in report["provenance"] if not each["licence"]]
    blocks: list[Block] = [Table(["source", "kind", "origin", "licence", "fingerprint"], rows)]
    if unknown:
        blocks.append(Paragraph(f"Licence unknown: {', '.join(unknown)}; set `licence` and `origin` of the source."))
    return Section("Provenance", blocks)


def dropped(samples: list[dict[str, Any]], most_characters: int = 600) -> Section:
    """Return a few of the documents that each rule dropped, so that people can judge the rule."""
    blocks: list[Block] = [
        Code(each["text"][:most_characters], f"{each['step']}: {each['reason']} ({each['id']})", folded=True)
        for each in samples
    ]
    return Section("Dropped documents", blocks)
