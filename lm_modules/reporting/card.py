"""The report card: one self-contained page, and the same in Markdown."""

from __future__ import annotations

from pathlib import Path

from lm_modules.reporting import markdown
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.page import page
from lm_modules.reporting.sections import story
from lm_modules.reporting.sections.summary import headlines
from lm_modules.reporting.words import duration, moment


def write_card(facts: ReportFacts, directory: Path) -> Path:
    """Write `report.html` and `report.md` into `directory` and return the path of the page."""
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / "report.html"
    path.write_text(as_html(facts), encoding="utf-8")
    (directory / "report.md").write_text(as_markdown(facts), encoding="utf-8")
    return path


def as_html(facts: ReportFacts) -> str:
    """Return the page."""
    return page("Report card", facts.pipeline, _subtitle(facts), headlines(facts), story(facts))


def as_markdown(facts: ReportFacts) -> str:
    """Return the same content as Markdown."""
    return markdown.render(f"Report card: {facts.pipeline}", _subtitle(facts), headlines(facts), story(facts))


def _subtitle(facts: ReportFacts) -> str:
    took = f", in {duration(facts.duration_seconds)}" if facts.duration_seconds is not None else ""
    cpu = facts.environment.get("cpu")
    return f"Finished {moment(facts.created)}{took}{f', on {cpu}' if cpu else ''}"
