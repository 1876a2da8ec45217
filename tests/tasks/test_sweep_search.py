"""What a sweep searches, with what it begins, and how it ends: choices with ranges inside, warm starts, repeats."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import pytest

from configs.base import Config
from configs.compute import DeviceConfig
from configs.finetuning import FinetuningConfig
from configs.tuning import Choice, Range, TuningConfig, fixed
from tasks.study import ENERGY, Trial
from tasks.tune import sweep

sys.path.insert(0, str(Path(__file__).parent))

from quick_trials import Inner, Settings, Tasks, climb, search

ADAPTERS = ("full", {"kind": "lora", "scale": 4.0, "rank": {"low": 4, "high": 64, "log": True, "integer": True}}, "ia3")


@pytest.fixture(autouse=True)
def _own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))


def finetuning(**adapter: Any) -> FinetuningConfig:
    return FinetuningConfig.model_validate(
        {"adapter": adapter, "dropout": 0.1, "optimization": {"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 1}}
    )


@pytest.mark.parametrize("sampler", ["tpe", "random", "gp"])
def test_what_is_open_inside_a_choice_is_searched_where_it_is_chosen(tmp_path: Path, sampler: str) -> None:
    config = finetuning(choices=ADAPTERS)
    result = search(tmp_path, config=config, trials=12, sampler=sampler, parallel=1)
    assert result.trials[0].values == {"adapter": "full"}, "the first trial takes the first choice"
    found = {str(each.values["adapter"]) for each in result.trials}
    assert found == {"full", "{'kind': 'lora', 'scale': 4.0}", "ia3"}
    ranks = set()
    for each in result.trials:
        closed: Any = fixed(config, each.values).adapter
        assert (closed.kind == "lora") == ("adapter.rank" in each.values)
        if closed.kind == "lora":
            assert (closed.rank, closed.scale) == (each.values["adapter.rank"], 4.0)
            ranks.add(closed.rank)
    assert len(ranks) > 1
    assert ranks <= set(range(4, 65))


def test_choices_mean_the_same_when_they_come_back_from_json(tmp_path: Path) -> None:
    config = finetuning(choices=ADAPTERS)
    again = FinetuningConfig.model_validate_json(config.model_dump_json())
    assert again == config
    first = search(tmp_path, config=config, trials=6, parallel=1)
    assert search(tmp_path, config=again, trials=6, parallel=1) == first


def test_a_wrong_choice_is_named() -> None:
    with pytest.raises(ValueError, match="unknown kind 'lorra'; did you mean 'lora'"):
        finetuning(choices=["full", "lorra"])
    with pytest.raises(ValueError, match="rank"):
        finetuning(choices=["full", {"kind": "lora", "rank": 0}])


def test_no_trial_begins_when_the_seconds_of_the_devices_are_used_also_after_a_restart(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        return climb(trial, seconds=0.1)

    result = search(tmp_path, work=work, trials=100, parallel=2, device_seconds=2.0)
    assert 4 <= len(result.trials) <= 6
    assert search(tmp_path, work=work, trials=100, parallel=2, device_seconds=2.0) == result


def luck(trial: Trial) -> dict[str, Any]:
    """Seed 0 flatters rates in the middle; others tell that the highest are best."""
    rate = trial.values["inner.rate"]
    flattered = 1.0 if trial.seed == 0 and rate < 0.3 else 0.0
    trial.directory.mkdir(parents=True, exist_ok=True)
    trial.report(1, {"score": rate + flattered})
    (trial.directory / "model").mkdir(exist_ok=True)
    (trial.directory / "model" / "seed").write_text(str(trial.seed))
    return {"stopped": False, "model": str(trial.directory / "model")}


def test_the_best_are_repeated_with_other_seeds_and_the_best_on_average_wins(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        trial.values["inner.rate"] = (0.9, 0.1, 0.2, 0.8)[trial.number % 4] if trial.seed == 0 else rates[trial.number]
        return luck(trial)

    rates: dict[int, float] = {4: 0.2, 5: 0.1, 6: 0.2, 7: 0.1}
    once = search(tmp_path, "once", work=work, trials=4, parallel=1)
    result = search(tmp_path, work=work, trials=4, parallel=1, repeats=2, repeat_best=2)
    assert once.best is not None
    assert once.best.number == 2, "1.2: the luckiest"
    repeats = [each for each in result.trials if each.repeat_of is not None]
    assert [each.repeat_of for each in repeats] == [2, 1, 2, 1]
    assert result.best is not None
    assert result.best.number == 2
    assert result.values_of_seeds(result.best) == pytest.approx([1.2, 0.2, 0.2])
    assert [path.read_text() for path in (tmp_path / "study").glob("*/model/seed")] == ["0"], "not a retrained copy"
    assert {row["repeat_of"] for row in result.table()} == {None, 1, 2}
    assert search(tmp_path, work=work, trials=4, parallel=1, repeats=2, repeat_best=2) == result


def giving(*scores: float | None) -> Any:
    """Return work of which each trial has the score of its number; None fails."""

    def work(trial: Trial) -> dict[str, Any]:
        if (score := scores[trial.number]) is None:
            raise RuntimeError("out of luck")
        trial.directory.mkdir(parents=True, exist_ok=True)
        trial.report(1, {"score": score})
        (trial.directory / "model").mkdir(exist_ok=True)
        return {"stopped": False, "model": str(trial.directory / "model")}

    return work


def test_a_repeat_that_disappoints_costs_the_lead(tmp_path: Path) -> None:
    result = search(tmp_path, work=giving(1.0, 0.9, 0.0, 0.9), trials=2, parallel=1, repeats=1)
    assert result.best is not None
    assert (result.best.number, result.values_of_seeds(result.best)) == (1, [0.9, 0.9])
    assert [path.parent.name for path in (tmp_path / "study").glob("*/model")] == ["trial-1"]


def test_a_repeat_that_is_still_to_come_costs_nobody_the_lead(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 3:
            raise KeyboardInterrupt  # the sweep ends before the second of the best has its repeat
        return scores(trial)

    scores = giving(0.9, 0.89, 0.4, 0.0)
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=work, trials=2, parallel=1, repeats=1)
    result = search(tmp_path, work=scores, trials=2, parallel=1, repeats=0, minutes=1e-9)
    assert [each.state for each in result.trials if each.repeat_of is not None] == ["complete", "continued", "waiting"]
    assert result.best is not None
    assert result.best.number == 1, "0.89, where the first gave 0.9 and 0.4"


def test_repeats_that_fail_do_not_cost_it(tmp_path: Path) -> None:
    result = search(tmp_path, work=giving(1.0, 0.9, 0.1, None, 0.8), trials=3, parallel=1, repeats=1)
    assert [each.state for each in result.trials] == ["complete"] * 3 + ["failed", "complete"]
    assert result.best is not None
    assert (result.best.number, result.values_of_seeds(result.best)) == (0, [1.0])
    assert [each.number for each in result.ranked(result.trials)] == [0, 1, 2]


def test_a_killed_repeat_is_continued_with_its_seed(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.seed:
            raise KeyboardInterrupt
        return climb(trial)

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=work, trials=3, parallel=1, repeats=1)
    result = search(tmp_path, trials=3, parallel=1, repeats=1)
    assert [(each.state, each.repeat_of is not None) for each in result.trials[3:]] == [
        ("continued", True),
        ("complete", True),
        ("complete", True),
    ]
    assert sum(each.state == "complete" and each.repeat_of is None for each in result.trials) == 3


def of_kin(
    directory: Path,
    name: str,
    before: list[Config] | None = None,
    work: Any = climb,
    config: Config | None = None,
    **tuning: Any,
) -> Any:
    settings = TuningConfig(
        **{"metric": "score", "trials": 4, "parallel": 1, "pruner": "none", "sampler": "random", **tuning}
    )
    return sweep(
        config or Settings(),
        settings,
        study_name=name,
        directory=directory / name,
        seed=len(name),
        submit=Tasks(work).submit,
        before=before or [],
        kin="the same search",
    )


def test_a_new_study_begins_with_what_was_best_before(tmp_path: Path) -> None:
    first, second = of_kin(tmp_path, "a"), of_kin(tmp_path, "bb")
    time.sleep(0.01)
    champion = {"inner.rate": 0.25, "depth": 1, "style": {"kind": "lora", "rank": 4}}
    before = [fixed(Settings(), champion), Settings(inner=Inner(rate=7.0))]
    third = of_kin(tmp_path, "ccc", before=before, warm_start=True, trials=6)
    tried = [each.values for each in third.trials]
    assert tried[0] == champion
    assert tried[1]["depth"] in (1, 5), "of what lies outside, the rest is drawn"
    assert second.best.values in tried[1:4]
    assert first.best.values in tried[1:4]
    alone = of_kin(tmp_path, "dddd", trials=2)
    assert alone.trials[0].values == {"inner.rate": 0.01, "depth": 5, "style": "plain"}


def test_of_a_study_that_searched_otherwise_is_taken_what_lies_in_the_new_space(tmp_path: Path) -> None:
    first = of_kin(tmp_path, "a")
    rate = first.best.values["inner.rate"]
    narrow = Settings(inner=Inner(rate=Range(low=rate / 2, high=rate * 2)), depth=1, style=Choice(choices=("other", 7)))
    second = of_kin(tmp_path, "bb", config=narrow, warm_start=True, trials=2)
    assert second.trials[0].values["inner.rate"] == rate
    assert second.trials[0].values["style"] in ("other", 7)
    elsewhere = Settings(inner=Inner(rate=Range(low=rate * 3, high=rate * 4)), depth=1, style="plain")
    third = of_kin(tmp_path, "ccc", config=elsewhere, warm_start=True, trials=1)
    assert third.trials[0].values == {"inner.rate": pytest.approx(3.5 * rate, rel=0.02)}


def test_a_study_that_began_without_a_warm_start_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    of_kin(tmp_path, "a")
    of_kin(tmp_path, "bb", trials=2)
    of_kin(tmp_path, "ccc", trials=2, warm_start=True)
    of_kin(tmp_path, "ccc", warm_start=True)
    assert "warm_start" not in caplog.text
    assert len(of_kin(tmp_path, "bb", trials=2, warm_start=True).trials) == 2
    assert "tuning.warm_start has no effect: this sweep began without it" in caplog.text


def test_of_a_study_with_repeats_the_winner_is_taken_over_and_not_the_luckiest_run(tmp_path: Path) -> None:
    first = of_kin(tmp_path, "a", work=giving(1.0, 0.9, 0.0, 0.9), trials=2, repeats=1)
    second = of_kin(tmp_path, "bb", warm_start=True, trials=2)
    assert second.trials[0].values == first.best.values == first.trials[1].values


def test_choices_are_components() -> None:
    choice = finetuning(choices=ADAPTERS).adapter
    assert isinstance(choice, Choice)
    assert [each.brief() if each.kind != "lora" else each.kind for each in choice.choices] == ["full", "lora", "ia3"]


def rising(trial: Trial) -> dict[str, Any]:
    """Later trials are better, with any seed."""
    trial.directory.mkdir(parents=True, exist_ok=True)
    first = trial.number if trial.seed == 0 else round(trial.values["inner.rate"] * 10)
    trial.report(1, {"score": float(first)})
    (trial.directory / "model").mkdir(exist_ok=True)
    return {"stopped": False, "model": str(trial.directory / "model")}


def test_a_sweep_that_goes_on_repeats_what_is_best_by_then(tmp_path: Path) -> None:
    first = search(tmp_path, work=rising, trials=3, parallel=1, repeats=1)
    assert [each.repeat_of for each in first.trials[3:]] == [2, 1]
    longer = search(tmp_path, work=rising, trials=6, parallel=1, repeats=1)
    later = [each for each in longer.trials if each.number > 4]
    assert {each.repeat_of for each in later if each.repeat_of is not None} == {6, 7}
    assert longer.best is not None
    assert longer.best.usable()


def test_the_word_of_a_trial_on_its_weights_counts_where_its_report_was_lost(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        trial.directory.mkdir(parents=True, exist_ok=True)
        if trial.number:
            trial.report(1, {"score": 0.5})
        (trial.directory / "model").mkdir(exist_ok=True)
        return {"stopped": False, "model": str(trial.directory / "model"), "score": 0.9 - trial.number / 10}

    result = search(tmp_path, work=work, trials=2, parallel=1)
    assert [each.value for each in result.trials] == [0.9, 0.8]


def test_hours_in_which_a_sweep_was_dead_are_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(trial: Trial) -> dict[str, Any]:
        trial.report(1, {"score": 0.1})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=interrupted, parallel=1)
    time.sleep(1.5)
    result = search(tmp_path, parallel=1, device_seconds=100)
    assert result.trials[0].state == "continued"
    assert result.trials[0].seconds is not None
    assert result.trials[0].seconds < 1


class OnDevices(Config):
    inner: Inner = Inner()
    compute: DeviceConfig = DeviceConfig()


def test_costs_are_those_of_each_attempt_and_its_devices(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> dict[str, Any]:
        time.sleep(0.2)
        trial.report(1, {"score": 0.1, ENERGY: 2.0})
        raise KeyboardInterrupt

    def finished(trial: Trial) -> dict[str, Any]:
        time.sleep(0.2)
        # a training that goes on counts on
        trial.report(2, {"score": 0.2, ENERGY: 3.0})
        return {}

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=interrupted, config=OnDevices(), parallel=1, trials=1)
    config = OnDevices(compute=DeviceConfig(devices=4))
    result = search(tmp_path, work=finished, config=config, parallel=1, trials=1)
    assert [each.state for each in result.trials] == ["continued", "complete"]
    assert [each.devices for each in result.trials] == [1, 4]
    assert sum(each.kilowatt_hours or 0.0 for each in result.trials) == 3.0
    seconds = [each.seconds or 0.0 for each in result.trials]
    enough = seconds[0] + 4 * seconds[1]
    again = search(tmp_path, work=finished, config=config, parallel=1, trials=2, device_seconds=enough * 0.9)
    assert len(again.trials) == 2
    more = search(tmp_path, work=finished, config=config, parallel=1, trials=2, device_seconds=enough * 1.1)
    assert len(more.trials) == 3
