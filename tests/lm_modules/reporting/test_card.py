"""The report card: complete, self-contained, honest, and safe with hostile text."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lm_modules.reporting.blocks import Paragraph
from lm_modules.reporting.card import as_html, as_markdown, write_card
from lm_modules.reporting.facts import ReportFacts
from lm_modules.reporting.sections import story

VOID = {"meta", "br", "line", "path", "rect", "circle"}
HOSTILE = "</pre><script>alert(1)</script> | [x](javascript:y) ``` ```` <img src=x>"


class Page(HTMLParser):
    """Keeps the text, the tags with their attributes, and whether the tags close in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def without(values: dict[str, Any], key: str) -> ReportFacts:
    return ReportFacts.model_validate({name: value for name, value in values.items() if name != key})


def test_both_files_are_written_and_the_page_is_returned(facts: ReportFacts, tmp_path: Path) -> None:
    page = write_card(facts, tmp_path / "new" / "report")
    assert page == tmp_path / "new" / "report" / "report.html"
    assert page.read_text(encoding="utf-8") == as_html(facts)
    assert page.with_suffix(".md").read_text(encoding="utf-8") == as_markdown(facts)


@pytest.mark.parametrize(
    "figure",
    [
        "1.903",  # bits per byte
        "97.5 %",  # of xz
        "0.610 (0.580 to 0.640)",  # the tuned model and its interval
        "+0.260 (+0.230 to +0.290)",  # the paired difference from random weights
        "fewer than 5 words",  # why documents were dropped
        "copy of an earlier document",
        "python-topics",
        "pruned",
        "Loss is not finite at step 40",
        "c0c0c0c0c0c0",  # digest
        "0.357 (0.300 to 0.400)",  # of raw texts
        "AMD EPYC",
    ],
)
def test_the_page_and_the_markdown_hold_the_figure(facts: ReportFacts, figure: str) -> None:
    assert figure in Page(as_html(facts)).text
    assert figure in as_markdown(facts)


def test_labels_that_training_lacks_are_told_apart_from_rare_ones(values: dict[str, Any]) -> None:
    values["labelled"]["labels"]["audio"] = {"train": 0, "validation": 2, "test": 1}
    values["labelled"]["with_unknown_labels"] = {"validation": 0, "test": 3}
    text = as_markdown(ReportFacts.model_validate(values))
    told = "1 labels are in held-out examples only, so none is answered, and each counts as missed (3 in test): audio."
    assert told in text
    assert "1 labels have fewer than 5 training examples: network." in text


def test_the_card_says_where_the_ledger_of_the_examples_lies(values: dict[str, Any]) -> None:
    assert "a line of ledger.jsonl of the labelled set" in as_markdown(ReportFacts.model_validate(values))
    values["labelled"]["beside"] = {"entities": dict(values["labelled"])}
    values["labelled"]["uri"] = "runs:/a/examples-given"
    text = as_markdown(ReportFacts.model_validate(values))
    assert "runs:/a/examples-given/ledger.jsonl" in text
    assert "runs:/a/examples-given/beside/entities/ledger.jsonl" in text


def test_splits_that_came_about_in_two_ways_are_told_apart(values: dict[str, Any]) -> None:
    for how, told in (("group", "test given, validation by group"), ("random", "test given, validation at random")):
        values["labelled"]["validation_split_by"] = how
        assert told in as_markdown(ReportFacts.model_validate(values))


def test_it_is_said_whether_held_out_examples_stand_in_the_pretraining_text(values: dict[str, Any]) -> None:
    assert "was not looked for" in as_markdown(ReportFacts.model_validate(values))
    assert "is not known" in as_markdown(without(values, "data"))
    found = {"test": {"items": 900, "searched": 812, "hit": 39, "documents": 50}}
    searched = {**values, "data": {**values["data"], "contamination": found}}
    told = "Found in the text that the model was pretrained on: 39 of 812 of test"
    assert told in as_markdown(ReportFacts.model_validate(searched))


def test_the_page_asks_for_nothing_and_runs_nothing(facts: ReportFacts) -> None:
    html = as_html(facts)
    for tag, attributes in Page(html).tags:
        assert tag not in {"script", "link", "img", "iframe", "object", "embed"}
        assert not {"src", "srcset", "xlink:href"} & set(attributes)
        assert not any(name.startswith("on") for name in attributes)
        assert tag == "a" or "href" not in attributes
    assert "@import" not in html
    assert "url(" not in html


def test_every_link_of_the_page_leads_to_a_section_or_to_a_run(facts: ReportFacts) -> None:
    page = Page(as_html(facts))
    anchors = {attributes.get("id") for _, attributes in page.tags}
    for target in (attributes["href"] or "" for tag, attributes in page.tags if tag == "a"):
        assert target.removeprefix("#") in anchors or target.startswith("http://127.0.0.1:5000/")


def test_a_trial_that_another_went_on_with_has_not_failed(values: dict[str, Any]) -> None:
    values["sweep"]["trials"][1] |= {"state": "continued", "error": "its process was ended"}
    values["sweep"]["trials"][3]["retry_of"] = 1
    text = Page(as_html(ReportFacts.model_validate(values))).text
    assert "Trial 1 was cut off and continued as trial 3." in text
    assert "Trial 1 failed" not in text
    assert "Trial 2 failed: Loss is not finite at step 40" in text


def test_a_sweep_without_importances_says_why(values: dict[str, Any]) -> None:
    values["sweep"] |= {"importance": {}, "why_no_importance": "Too few trials ended complete."}
    facts = ReportFacts.model_validate(values)
    assert "Too few trials ended complete." in Page(as_html(facts)).text
    assert "Too few trials ended complete." in as_markdown(facts)


def test_hostile_text_stays_text(values: dict[str, Any]) -> None:
    values["samples"] = [{"prompt": HOSTILE, "text": HOSTILE}]
    values["pipeline"] = values["config_yaml"] = HOSTILE
    values["verdict"]["reason"] = values["data"]["warnings"][0] = HOSTILE
    values["stages"][0] |= {"name": HOSTILE, "run_url": "javascript:alert(1)"}
    values["sweep"]["trials"][2]["error"] = HOSTILE
    values["curves"] = {HOSTILE: [(1, 1.0), (2, 0.5)]}
    facts = ReportFacts.model_validate(values)
    page = Page(as_html(facts))
    assert "script" not in {tag for tag, _ in page.tags}
    assert "img" not in {tag for tag, _ in page.tags}
    assert not any("javascript" in (attributes.get("href") or "") for _, attributes in page.tags)
    assert page.text.count("<script>alert(1)</script>") >= 8
    unfenced = re.sub(r"(?ms)^(`{3,})\n.*?^\1$", "", as_markdown(facts))
    assert "script" in unfenced
    assert not re.search(r"(?<!\\)<(script|img|/pre)", unfenced)


SECTIONS = {
    "stages": "Stages",
    "data": "Corpus",
    "samples": "Samples",
    "labelled": "Labelled examples",
    "sweep": "Fine-tuning sweep",
    "evaluation": "Evaluation",
    "verdict": "Promotion",
    "lineage": "Lineage",
}


@pytest.mark.parametrize(("key", "title"), SECTIONS.items())
def test_a_stage_that_did_not_run_leaves_its_section_out(values: dict[str, Any], key: str, title: str) -> None:
    assert title in [section.title for section in story(ReportFacts.model_validate(values))]
    facts = without(values, key)
    assert title not in [section.title for section in story(facts)]
    Page(as_html(facts))
    assert f"## {title}\n" not in as_markdown(facts)


def test_a_run_without_any_stage_still_gives_a_card() -> None:
    facts = ReportFacts(pipeline="empty", created="2026-11-22T16:05:00+00:00")
    assert "22 November 2026, 16:05 UTC" in Page(as_html(facts)).text
    assert as_markdown(facts).startswith("# Report card: empty\n")


def test_a_language_model_that_misses_the_aim_says_by_how_much_and_what_the_curve_did(facts: ReportFacts) -> None:
    missed = 1.903 - 0.95 * 1.951
    assert f"missed by {missed:.3f} bits per byte" in as_markdown(facts)
    assert "Validation still fell by" in as_markdown(facts)


def test_a_language_model_that_reaches_the_aim_does_not_apologise(values: dict[str, Any]) -> None:
    values["evaluation"]["language_model"] |= {"bits_per_byte": 1.5, "fraction_of_xz": 1.5 / 1.951}
    assert "missed" not in as_markdown(ReportFacts.model_validate(values))


@pytest.mark.parametrize("higher_is_better", [True, False])
@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        (0.01, 0.07, "is better than TF-IDF with logistic regression"),
        (-0.07, -0.01, "is worse than TF-IDF with logistic regression"),
        (-0.02, 0.05, "and TF-IDF with logistic regression cannot be told apart"),
    ],
)
def test_the_place_against_tf_idf_is_said_as_it_is(
    values: dict[str, Any], low: float, high: float, sentence: str, higher_is_better: bool
) -> None:
    if not higher_is_better:
        low, high = -high, -low
    seen = {"difference": (low + high) / 2, "low": low, "high": high, "higher_is_better": higher_is_better}
    values["evaluation"]["comparisons"][1] |= seen
    assert sentence in Page(as_html(ReportFacts.model_validate(values))).text


def test_the_leakage_of_a_random_split_is_explained_with_both_figures(facts: ReportFacts) -> None:
    text = Page(as_html(facts)).text
    assert "inflated" in text
    assert "0.610 apart, 0.810 at random" in text
    assert "Decisions rest on the split by group." in text
    assert "the language model was pretrained, it has itself read" in text


def test_decisions_that_rest_on_a_leaking_split_are_said_to(values: dict[str, Any]) -> None:
    evaluation = values["evaluation"]
    evaluation["split_by"], evaluation["other_split"]["split_by"] = "random", "group"
    evaluation["models"], evaluation["other_split"]["models"] = (
        evaluation["other_split"]["models"],
        evaluation["models"],
    )
    sections = {section.title: section.blocks for section in story(ReportFacts.model_validate(values))}
    warning = sections["Evaluation"][0]
    assert isinstance(warning, Paragraph)
    assert "inflated" in warning.text
    assert "0.610 apart, 0.810 at random" in warning.text
    assert "set finetuning.data.split_by to group" in warning.text
    assert "inflated" not in str(sections["The other split"])


def test_without_a_second_split_there_is_no_word_of_leakage(values: dict[str, Any]) -> None:
    values["evaluation"]["other_split"] = None
    assert "inflated" not in as_markdown(ReportFacts.model_validate(values))


def test_a_challenger_that_stays_one_is_not_called_promoted(values: dict[str, Any]) -> None:
    values["verdict"] |= {"decision": "not promoted", "version": "2", "champion_before": "1", "champion_after": "1"}
    text = Page(as_html(ReportFacts.model_validate(values))).text
    assert "Not promoted" in text
    assert "python-topics: version 1 is @champion, version 2 is not" in text


def test_the_page_follows_dark_light_print_and_phone(facts: ReportFacts) -> None:
    html = as_html(facts)
    for query in ("prefers-color-scheme: dark", "@media print", "max-width: 620px", 'name="viewport"'):
        assert query in html


def test_utilization_and_energy_are_said_with_how_they_were_come_by(values: dict[str, Any]) -> None:
    machine = {
        "mfu": 0.0797,
        "flops_per_token": 14_160_000.0,
        "flops_formula": "6 x weights",
        "peak_teraflops_per_second": 1.39,
        "peak_source": "timed on 1 CPU thread",
        "energy_kilowatt_hours": 0.00123,
        "energy_source": "processor estimated",
        "co2_kilograms": 0.00059,
        "co2_source": "480 g/kWh, world average",
    }
    pretraining = values["pretraining"] | machine
    text = as_markdown(ReportFacts.model_validate(values | {"pretraining": pretraining}))
    assert "8.0 % of the machine's peak of 1.39 TFLOP/s (timed on 1 CPU thread), at 14.16 MFLOP a token" in text
    assert "0.00123 kWh (processor estimated), which is 0.00059 kg of carbon dioxide (480 g/kWh, world average)" in text
    assert "peak source" not in text
    assert "carbon dioxide" not in as_markdown(ReportFacts.model_validate(values))
