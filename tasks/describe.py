"""A corpus and its tokens to its data card."""

from __future__ import annotations

import json

from prefect import task
from prefect.cache_policies import NO_CACHE

from lm_modules.reporting.data_card import as_html, as_markdown
from tasks import filing
from tasks.artifacts import Corpus, Tokens


@task(cache_policy=NO_CACHE, persist_result=False)
def describe(corpus: Corpus, tokens: Tokens | None, run_id: str) -> None:
    """File the data card with the run: no part of the corpus, so that a better card makes no other corpus."""
    place = corpus.local()
    report = json.loads((place / "report.json").read_text())
    if tokens:
        report["tokens"] = json.loads((tokens.local() / "meta.json").read_text())
    samples = [json.loads(line) for line in (place / "samples.jsonl").read_text(encoding="utf-8").splitlines()]
    filing.log_text(run_id, as_html(report, samples), "data_card/data_card.html")
    filing.log_text(run_id, as_markdown(report, samples), "data_card/data_card.md")
