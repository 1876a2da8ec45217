"""The sections of the card, one file for each part of the story. A part without facts gives no section."""

from __future__ import annotations

from lm_modules.reporting.blocks import Section
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.sections import (
    corpus,
    documents,
    fine_tuning,
    judgement,
    labelled,
    language_model,
    provenance,
    summary,
)


def story(facts: ReportFacts) -> list[Section]:
    """Return the sections that have something to show, in the order of the pipeline."""
    sections = [
        summary.in_short(facts),
        provenance.stages(facts),
        corpus.corpus(facts.data),
        *documents.all_of(facts.data),
        corpus.tokens(facts),
        language_model.pretraining(facts),
        language_model.likelihood(facts),
        language_model.samples(facts),
        *labelled.labelled(facts),
        fine_tuning.sweep(facts),
        judgement.evaluation(facts),
        *judgement.beside(facts),
        judgement.other_split(facts),
        judgement.promotion(facts),
        provenance.lineage(facts),
        provenance.environment(facts),
    ]
    return [section for section in sections if section and section.blocks]
