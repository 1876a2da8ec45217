"""Where the result comes from: stages and times, what was made from what, the machine, the settings."""

from __future__ import annotations

from lm_modules.reporting.blocks import Badge, Block, Cell, Code, Drawing, Figures, Link, Paragraph, Section, Table
from lm_modules.reporting.charts import bar
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.words import duration, figure, number, title

SHOWN_DIGITS = 12
"""Hexadecimal digits of a digest that are printed; enough to tell artifacts apart by eye."""


def stages(facts: ReportFacts) -> Section:
    """Return the timings: each stage with its share of the whole, and whether its result was already there."""
    if not facts.stages:
        return Section("Stages")
    longest = max(stage.seconds for stage in facts.stages) or 1.0
    rows: list[list[Cell]] = []
    for stage in facts.stages:
        words = duration(stage.seconds)
        figures = ", ".join(f"{title(key)} {figure(key, value)}" for key, value in stage.figures.items())
        rows.append(
            [
                Link(stage.name, stage.run_url),
                Badge("reused", "plain") if stage.reused else Badge("computed", "good"),
                words,
                Drawing(bar(stage.seconds / longest, words), ""),
                figures,
            ]
        )
    return Section("Stages", [Table(["stage", "result", "time", "", "figures"], rows, numeric=frozenset({"time"}))])


def lineage(facts: ReportFacts) -> Section:
    """Return the artifacts of the run with their digests, each after what it was made from."""
    if not facts.lineage:
        return Section("Lineage")
    names = {each.digest: each.kind for each in facts.lineage}
    rows: list[list[Cell]] = [
        [
            each.kind,
            each.digest[:SHOWN_DIGITS],
            ", ".join(f"{names.get(parent, '')} {parent[:SHOWN_DIGITS]}".strip() for parent in each.parents) or "-",
            each.uri,
        ]
        for each in facts.lineage
    ]
    text = "A digest is the sha256 of all files of the artifact. Equal digests are equal bytes."
    return Section("Lineage", [Paragraph(text), Table(["artifact", "digest", "made from", "uri"], rows)])


def environment(facts: ReportFacts) -> Section:
    """Return the machine, the versions and the complete settings."""
    blocks: list[Block] = []
    plain = {key: value for key, value in facts.environment.items() if not isinstance(value, dict)}
    if facts.run_id:
        plain["MLflow run"] = Link(facts.run_id, facts.run_url)
    if plain:
        items = [(title(key), value if isinstance(value, Link) else number(value)) for key, value in plain.items()]
        blocks.append(Figures(items))
    for key, value in facts.environment.items():
        if isinstance(value, dict):
            blocks.append(Table([title(key), ""], [[str(name), number(each)] for name, each in value.items()]))
    if facts.config_yaml:
        blocks.append(Code(facts.config_yaml, "The complete settings of this run", folded=True))
    return Section("Environment and settings", blocks)
