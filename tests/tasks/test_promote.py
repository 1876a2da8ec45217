"""The decision on a real registry; the comparisons themselves are made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from configs.promotion import PromotionConfig
from lm_modules.heads.sequence_classification import SequenceClassification
from tasks import promote as promotion
from tasks import registry, tracking
from tasks.artifacts import Evaluation, Finetuned, LabelledData, Model, Verdict
from tasks.sweep_result import SweepResult

NOTHING = {"digest": "0" * 64, "run_id": "none", "uri": "runs:/none/none"}


def tuned(tmp_path: Path, name: str) -> Finetuned:
    """A model of its own."""
    directory = tmp_path / name
    directory.mkdir()
    (directory / "config.json").write_text(f'{{"name": "{name}"}}')
    with tracking.open_run("make", experiment="promote", key=name) as run:
        model = Model.log(directory, run_id=run.id, name="tuned", service="classifier")
    sweep = SweepResult(study="s", metric="m", direction="maximize", trials=())
    return Finetuned(model=model, data=LabelledData(**NOTHING), base=Model(**NOTHING), values={}, sweep=sweep)


@pytest.fixture
def decide(monkeypatch: pytest.MonkeyPatch):
    """Return a function that decides about a model for which the comparisons come out as told."""
    monkeypatch.setattr(LabelledData, "local", lambda self: None)
    monkeypatch.setattr(Evaluation, "local", lambda self: None)

    def decide(
        name: str,
        model: Finetuned,
        *better: bool,
        incomparable: str | None = None,
        better_unasked: tuple[str, ...] = (),
    ) -> Verdict:
        figures = {"metric": "macro_f1", "difference": 0.1, "low": 0.0, "high": 0.2, "confidence": 0.95}
        found: list[dict[str, Any]] = [{"baseline": "it", "better": each, **figures} for each in better]
        unasked = [
            {"title": each, **figures, "difference": -0.1, "low": -0.2, "high": -0.05} for each in better_unasked
        ]
        told = {"comparisons": found, "incomparable": incomparable, "better_unasked": unasked}
        monkeypatch.setattr(promotion, "run_isolated", lambda *_, **__: told)
        config = PromotionConfig(registered_name=name)
        return promotion.promote.fn(config, 100, model, Evaluation(**NOTHING), seed=0, run_id="none")

    return decide


def test_a_model_that_beats_everything_becomes_the_champion_and_one_that_does_not_stays_challenger(decide, tmp_path):
    first, second = tuned(tmp_path, "one"), tuned(tmp_path, "two")
    assert decide("ordinary", first, True, True).promoted
    lost = decide("ordinary", second, True, False)
    assert (lost.alias, lost.champion_before, lost.champion_after) == ("challenger", "1", "1")
    assert "has not proved better" in lost.reason
    assert registry.champion("ordinary").version == "1"


def test_a_champion_that_it_cannot_be_compared_with_stays_and_the_reason_is_kept(decide, tmp_path):
    first, second = tuned(tmp_path, "here"), tuned(tmp_path, "there")
    assert decide("unlike", first, True).promoted
    found = decide("unlike", second, incomparable="It is of another kind.")
    assert (found.alias, found.promoted, found.champion_after) == ("challenger", False, "1")
    assert found.reason == "It is of another kind."


def test_a_champion_that_was_rolled_back_does_not_come_back_by_itself(decide, tmp_path):
    good, bad = tuned(tmp_path, "good"), tuned(tmp_path, "bad")
    decide("taken-back", good, True)
    assert decide("taken-back", bad, True).promoted
    registry.rollback("taken-back", "wrong on short texts")
    verdict = decide("taken-back", bad, True)
    assert (verdict.promoted, verdict.alias) == (False, "challenger")
    assert verdict.reason == "It was rolled back: wrong on short texts"
    assert registry.champion("taken-back").version == verdict.champion_after == "1"


def test_the_reason_names_what_is_better_and_was_not_asked_for(decide, tmp_path):
    verdict = decide("warned", tuned(tmp_path, "warned"), True, better_unasked=("TF-IDF with logistic regression",))
    assert verdict.promoted
    assert verdict.reason.endswith(
        "TF-IDF with logistic regression, which it was not asked to beat, is better than it: "
        "macro_f1 -0.100, 95% interval -0.200 to -0.050."
    )


def test_nothing_is_promoted_without_a_comparison(decide, tmp_path):
    verdict = decide("alone", tuned(tmp_path, "alone"))
    assert (verdict.promoted, verdict.reason) == (False, "It was compared with nothing.")
    assert registry.champion("alone") is None


def test_the_same_model_decided_twice_changes_nothing(decide, tmp_path):
    model = tuned(tmp_path, "same")
    decide("twice", model, True)
    again = decide("twice", model, False)
    assert (again.alias, again.version, again.promoted) == ("champion", "1", False)
    assert "champion already" in again.reason


@pytest.mark.parametrize(
    ("baselines", "said"),
    [
        ([], "at least 1 item"),
        (["majorty"], r"unknown baseline 'majorty' of sequence_classification; did you mean 'majority'"),
    ],
)
def test_baselines_that_mean_nothing_are_refused(baselines, said):
    with pytest.raises(ValueError, match=said):
        PromotionConfig(baselines=baselines).require_known_baselines(SequenceClassification())
