"""A corpus and its tokens to its data card."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from prefect import task
from prefect.cache_policies import NO_CACHE

from lm_modules.reporting.data_card import as_html, as_markdown
from tasks import filing, tracking
from tasks.artifacts import Corpus, Tokens

logger = logging.getLogger(__name__)

PAGE = "data_card/data_card.html"
MOST_WARNINGS = 10


@task(cache_policy=NO_CACHE, persist_result=False)
def describe(corpus: Corpus, tokens: Tokens | None, run_id: str) -> None:
    """File the data card with the run: no part of the corpus, so that a better card makes no other corpus."""
    place = corpus.local()
    report = json.loads((place / "report.json").read_text())
    if tokens:
        report["tokens"] = json.loads((tokens.local() / "meta.json").read_text())
    samples = [json.loads(line) for line in (place / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    filing.log_text(run_id, as_html(report, samples), PAGE)
    filing.log_text(run_id, as_markdown(report, samples), "data_card/data_card.md")
    for warning in report["warnings"][:MOST_WARNINGS]:
        logger.warning("%s", warning)
    if more := report["warnings"][MOST_WARNINGS:]:
        logger.warning("%d more warnings are in the data card", len(more))


def data_card_at(run_id: str) -> Path | None:
    """Return the page of a run where MLflow keeps it on this machine, else None."""
    stored = filing.local_path(str(tracking.client().get_run(run_id).info.artifact_uri))
    return stored / PAGE if stored and (stored / PAGE).exists() else None
