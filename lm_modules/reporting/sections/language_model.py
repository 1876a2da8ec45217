"""The language model: how it learned, what it needs for held-out text, what it writes."""

from __future__ import annotations

from typing import Any

from lm_modules.reporting.blocks import Block, Drawing, Drawings, Figures, Paragraph, Quote, Section, Table
from lm_modules.reporting.charts import Series, line_chart
from lm_modules.reporting.facts import LanguageModelScore, ReportFacts
from lm_modules.reporting.words import count, curve, figure, number, percent, size, title


def pretraining(facts: ReportFacts) -> Section:
    """Return the curves and figures of pretraining, and the check of the exported model."""
    blocks: list[Block] = []
    charts = [_chart(name, facts) for name, points in facts.curves.items() if points]
    if charts:
        blocks.append(Drawings(charts))
    if facts.pretraining:
        blocks.append(Figures(_plain({key: facts.pretraining[key] for key in facts.pretraining if key not in MACHINE})))
        blocks += _of_the_machine(facts.pretraining)
    if facts.export:
        blocks += _export(facts.export)
    return Section("Pretraining", blocks)


def likelihood(facts: ReportFacts) -> Section:
    """Return the score on held-out text beside that of `xz -9`."""
    score = facts.evaluation and facts.evaluation.language_model
    if not score:
        return Section("Held-out text")
    text = (
        f"Scored on {count(score.num_documents)} documents that were kept out of training ({size(score.num_bytes)}), "
        "with all of their bytes counted: what a token stands for does not change the figure. "
        "xz -9 packs the same text in one piece."
    )
    figures: list[tuple[str, Any]] = [
        ("bits per byte, language model", f"{score.bits_per_byte:.4f}"),
        ("bits per byte, xz -9", f"{score.xz_bits_per_byte:.4f}"),
        ("language model, part of xz -9", percent(score.fraction_of_xz)),
    ]
    blocks: list[Block] = [Figures(figures), Paragraph(text)]
    if len(score.by_source) > 1:
        blocks.append(_by_source(score))
    return Section("Held-out text", blocks)


def _by_source(score: LanguageModelScore) -> Table:
    columns = ["source", "in the figure", "text", "language model", "xz -9", "part of xz -9"]
    rows: list[Any] = [
        [
            name,
            "yes" if name in score.sources else "no",
            size(each.num_bytes),
            f"{each.bits_per_byte:.3f}",
            f"{each.xz_bits_per_byte:.3f}",
            percent(each.fraction_of_xz),
        ]
        for name, each in score.by_source.items()
    ]
    caption = (
        "Bits per byte of each source, packed by xz on its own. xz refers back over its whole input, so the more alike "
        "the documents of a source are, the better it does; the model reads each document alone."
    )
    return Table(columns, rows, caption, frozenset(columns[2:]))


def samples(facts: ReportFacts) -> Section:
    """Return texts that the model wrote, unedited."""
    blocks: list[Block] = []
    for each in facts.samples:
        settings = {"temperature": each.temperature, "seed": each.seed}
        note = ", ".join(f"{name} {number(value)}" for name, value in settings.items() if value is not None)
        blocks.append(Quote(each.prompt, each.text, note))
    return Section("Samples", blocks)


def _chart(name: str, facts: ReportFacts) -> Drawing:
    points, words = facts.curves[name], curve(name, facts.curves[name])
    score = facts.evaluation and facts.evaluation.language_model
    level = ("xz -9, test text", score.xz_bits_per_byte) if score and name.endswith("bits_per_byte") else None
    return Drawing(line_chart([Series(points)], words, level=level), words, title=title(name.replace("/", ", ")))


MACHINE = (
    *("mfu", "flops_per_token", "flops_formula", "peak_teraflops_per_second", "peak_source"),
    *("energy_kilowatt_hours", "energy_source", "co2_kilograms", "co2_source"),
)
"""Figures that are said in sentences, each with how it was come by."""


def _of_the_machine(trained: dict[str, Any]) -> list[Block]:
    """Say how much of the machine was used, and what it took; nothing of a run that does not tell it."""
    blocks: list[Block] = []
    if trained.get("mfu") is not None:
        text = (
            f"Training reached {percent(trained['mfu'])} of the machine's peak of "
            f"{number(trained['peak_teraflops_per_second'], 3)} TFLOP/s ({trained['peak_source']}), at "
            f"{number(trained['flops_per_token'] / 1e6)} MFLOP a token: {trained['flops_formula']}."
        )
        blocks.append(Paragraph(text))
    if trained.get("energy_kilowatt_hours") is not None:
        text = (
            f"It took {number(trained['energy_kilowatt_hours'], 3)} kWh ({trained['energy_source']}), which is "
            f"{number(trained['co2_kilograms'], 3)} kg of carbon dioxide ({trained['co2_source']})."
        )
        blocks.append(Paragraph(text))
    return blocks


def _export(export: dict[str, Any]) -> list[Block]:
    text = (
        "The trained weights are folded into an unmodified architecture of transformers, "
        "and both are asked the same questions:"
    )
    return [Paragraph(text), Figures(_plain(export))]


def _plain(values: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the figures that fit in a cell: numbers and short texts, not lists, tables or paths."""
    return [
        (title(key), figure(key, value))
        for key, value in values.items()
        if isinstance(value, int | float | str) and not (isinstance(value, str) and ("/" in value or len(value) > 60))
    ]
