"""The labelled examples: how many there are of each label, what was left out and why, and which labels look wrong."""

from __future__ import annotations

from typing import Any

from lm_modules.reporting.blocks import Block, Cell, Figures, Paragraph, Section, Table
from lm_modules.reporting.facts import EvaluationFacts, ReportFacts
from lm_modules.reporting.words import count, percent

MOST_LABELS = 50
RAREST = 5
"""A label with fewer training examples than this is pointed out."""


def labelled(facts: ReportFacts) -> list[Section]:
    """Return the account of each collection, and the held-out examples whose labels the model doubts."""
    found = facts.labelled
    if not found:
        return []
    main = Section("Labelled examples", [*_account(found), *_pretraining(facts), *_doubts(facts.evaluation)])
    beside = {
        name: {**each, "uri": f"{found['uri']}/beside/{name}"} if "uri" in found else each
        for name, each in found.get("beside", {}).items()
    }
    return [main, *(Section(f"Labelled examples: {name}", _account(each)) for name, each in beside.items())]


def _account(found: dict[str, Any]) -> list[Block]:
    splits = found["splits"]
    figures: list[tuple[str, Cell]] = [(split, count(number)) for split, number in splits.items()]
    figures += [("labels", count(found["num_labels"])), ("split by", _split_by(found))]
    figures.append(("left out", count(sum(found["dropped"].values()) + sum(found["left_out"].values()))))
    blocks: list[Block] = [Figures(figures), *_remarks(found)]
    if found["labels"]:
        blocks.append(_labels(found["labels"], list(splits)))
    if found["dropped"] or found["left_out"]:
        blocks.append(_reasons({**found["left_out"], **found["dropped"]}, found.get("uri")))
    return blocks


def _pretraining(facts: ReportFacts) -> list[Block]:
    """Return whether held-out examples stand in the text that the model was pretrained on, as far as it is known."""
    told = "Whether held-out examples stand in the text that the model was pretrained on "
    if facts.data is None:
        return [Paragraph(f"{told}is not known: that text was not prepared in this run.")]
    if not facts.data.get("contamination"):
        return [Paragraph(f"{told}was not looked for; data_preparation.decontamination does.")]
    found = [(name, each["hit"], each["searched"]) for name, each in facts.data["contamination"].items()]
    sets = ", ".join(f"{hit} of {searched} of {name}" for name, hit, searched in found)
    is_hit = any(hit for _, hit, _ in found)
    return [Paragraph(f"Found in the text that the model was pretrained on: {sets}.", "warn" if is_hit else "plain")]


def _split_by(found: dict[str, Any]) -> str:
    """Return how the held-out splits came about, each by itself where they differ."""
    ways = {"test": found["split_by"], "validation": found.get("validation_split_by", found["split_by"])}
    if len(set(ways.values())) == 1:
        return ways["test"]
    words = {"given": "given", "group": "by group", "random": "at random"}
    return ", ".join(f"{split} {words[how]}" for split, how in ways.items())


def _remarks(found: dict[str, Any]) -> list[Block]:
    remarks = []
    seen = {label: counts["train"] for label, counts in found["labels"].items()}
    if unseen := [label for label, number in seen.items() if not number]:
        examples = ", ".join(f"{number} in {split}" for split, number in found["with_unknown_labels"].items() if number)
        remarks.append(
            f"{len(unseen)} labels are in held-out examples only, so none is answered, and each counts as missed "
            f"({examples}): {_some(unseen)}."
        )
    if rare := [label for label, number in seen.items() if 0 < number < RAREST]:
        remarks.append(f"{len(rare)} labels have fewer than {RAREST} training examples: {_some(rare)}.")
    if shared := {pair: number for pair, number in found["shared_groups"].items() if number}:
        pairs = ", ".join(f"{pair} {number}" for pair, number in shared.items())
        remarks.append(f"Groups stand on both sides of the given splits ({pairs}): scores are flattered.")
    if near := {split: number for split, number in found.get("near_copies", {}).items() if number}:
        where = ", ".join(f"{number} in {split}" for split, number in near.items())
        remarks.append(f"Held-out examples differ from one of train in case, punctuation or figures alone ({where}).")
    return [Paragraph(each, "warn") for each in remarks]


def _some(names: list[str]) -> str:
    return ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")


def _labels(labels: dict[str, dict[str, int]], splits: list[str]) -> Table:
    ordered = sorted(labels.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows: list[list[Cell]] = [
        [label, *(count(counts.get(split, 0)) for split in splits)] for label, counts in ordered[:MOST_LABELS]
    ]
    caption = f"The {MOST_LABELS} most frequent of {len(labels)} labels." if len(labels) > MOST_LABELS else ""
    return Table(["label", *splits], rows, caption, frozenset(splits))


def _reasons(reasons: dict[str, int], uri: str | None) -> Table:
    rows: list[list[Cell]] = [[reason, count(number)] for reason, number in reasons.items()]
    ledger = f"{uri}/ledger.jsonl" if uri else "ledger.jsonl of the labelled set"
    caption = f"Each example that the collection dropped is a line of {ledger}, with the reason."
    return Table(["left out because", "examples"], rows, caption, frozenset({"examples"}))


def _doubts(evaluation: EvaluationFacts | None) -> list[Block]:
    """Return the examples that the tuned model is sure to have another label."""
    if not evaluation or not evaluation.doubted_labels:
        return []
    rows: list[list[Cell]] = [
        [each["id"], each["excerpt"], each["reference"], each["prediction"], percent(each["probability"])]
        for each in evaluation.doubted_labels
    ]
    caption = (
        "Held-out examples to which the tuned model confidently gives another label, the surest first: it is wrong, "
        "or the label is. To learn which, read them."
    )
    return [Table(["example", "text", "label", "the model says", "probability"], rows, caption)]
