"""What happens to one document by itself: it is cleaned, its language is told, and filters keep or drop it.

A step looks at the document alone, so documents can be taken in any order, by any number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial

from configs.data_preparation import DataPreparationConfig
from configs.decontamination import DecontaminationConfig
from lm_modules.data.cleaners import Cleaner
from lm_modules.data.decontamination import ContaminationCounts, Index
from lm_modules.data.documents import Document
from lm_modules.data.filters import Filter
from lm_modules.data.languages import identify
from lm_modules.data.split import split_of

LEAST_CONFIDENCE = 0.5
"""A language that is less likely than all others together is not told: most such texts are a few words."""


@dataclass(frozen=True)
class Outcome:
    """What a step made of a document; `reason` to drop it, or None."""

    document: Document
    reason: str | None = None
    replaced: dict[str, int] | None = None


Act = Callable[[Document], Outcome]


class Steps:
    """The steps of a configuration in their order, by name."""

    def __init__(self, config: DataPreparationConfig, seed: int, evaluation: Index | None = None):
        self.config, self.seed = config, seed
        self.contamination = ContaminationCounts()
        self.acts: dict[str, Act] = {}
        for cleaner in config.cleaners:
            self.acts[free_name(cleaner.kind, self.acts)] = partial(_clean, cleaner)
        if config.identify_languages:
            self.acts["identify_languages"] = _identify
        for rule in config.filters:
            self.acts[free_name(rule.kind, self.acts)] = partial(_filter, rule)
        if config.decontamination:
            self.acts["decontamination"] = partial(self._decontaminate, config.decontamination, evaluation)

    def outcomes(self, read: Document) -> Iterator[tuple[str, float, Document, Outcome]]:
        """Yield (step, seconds, document before it, outcome) for each step until one drops the document."""
        document = read
        for step, act in self.acts.items():
            started = time.perf_counter()
            outcome = act(document)
            yield step, time.perf_counter() - started, document, outcome
            if outcome.reason:
                return
            document = outcome.document

    def split_of(self, document: Document) -> str:
        """Return the split of a document that the steps have left as it is now.

        Later steps cut passages out and do not change it: what decontamination did not look at, because it was held
        out, stays held out.
        """
        return split_of(document, self.config.split, self.seed)

    def _decontaminate(self, settings: DecontaminationConfig, evaluation: Index | None, document: Document) -> Outcome:
        """Look for texts of evaluation sets in what will be trained on."""
        if evaluation is None or self.split_of(document) != "train":
            return Outcome(document)
        hits = evaluation.hits(document.text)
        self.contamination.add(hits)
        drops = hits and settings.mode == "drop"
        return Outcome(document, f"holds texts of {', '.join(hits)}" if drops else None)


def step_names(config: DataPreparationConfig) -> list[str]:
    """Return the names of all steps from reading to the last deduplication, as the funnel shows them."""
    names = ["read", *Steps(config, 0).acts]
    for each in config.deduplication:
        names.append(free_name(each.kind, names))
    return names


def deduplication_names(config: DataPreparationConfig) -> list[str]:
    """Return the names of the deduplications, in their order."""
    names = step_names(config)
    return names[len(names) - len(config.deduplication) :]


def _clean(cleaner: Cleaner, document: Document) -> Outcome:
    if not cleaner.is_for(document):
        return Outcome(document)
    text = cleaner.clean(document.text)
    if not text.strip():
        return Outcome(document, "empty after cleaning")
    if text == document.text:
        return Outcome(document)
    return Outcome(replace(document, text=text), replaced=dict(cleaner.replaced(document.text, text)))


def _identify(document: Document) -> Outcome:
    if document.language:
        return Outcome(document)
    language, confidence = identify(document.text)
    return Outcome(replace(document, language=language if confidence >= LEAST_CONFIDENCE else None))


def _filter(rule: Filter, document: Document) -> Outcome:
    return Outcome(document, rule.reason_to_drop(document) if rule.is_for(document) else None)


def free_name(kind: str, taken: Collection[str]) -> str:
    """Return the kind, or "kind 2" for the second of a kind."""
    number = 1 + sum(name.partition(" ")[0] == kind for name in taken)
    return kind if number == 1 else f"{kind} {number}"
