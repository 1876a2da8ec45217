from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from configs.finetuning import FinetuningConfig
from configs.tuning import Choice, Range, TuningConfig, fixed
from lm_modules.hardware.memory import TooLarge
from tasks.artifacts import LabelledData, Model
from tasks.study import Trial
from tasks.sweep_plots import figures
from tasks.sweep_result import SweepResult
from tasks.tune import SweepFailed
from tasks.tune_model import _study_key
from tests.support.postgresql import postgresql_server

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from quick_trials import Closed, Settings, climb, search  # noqa: E402


@pytest.fixture(autouse=True)
def _own_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))


def test_best_trial_wins_and_every_trial_is_on_record(tmp_path: Path) -> None:
    result = search(tmp_path)
    assert [each.number for each in result.trials] == list(range(6))
    assert {each.state for each in result.trials} == {"complete"}
    assert result.best is not None
    assert result.best.value == pytest.approx(5 * max(each.values["inner.rate"] for each in result.trials))
    assert result.best.steps == tuple((step, step * result.best.values["inner.rate"]) for step in range(1, 6))
    assert len(result.table()) == 6
    assert len({each.values["inner.rate"] for each in result.trials}) == 6, "no two trials try the same"


def test_the_first_trial_takes_the_middle(tmp_path: Path) -> None:
    first = search(tmp_path, sampler="random", parallel=1).trials[0]
    assert first.values == {"inner.rate": 0.01, "depth": 5, "style": "plain"}


def test_values_close_the_config(tmp_path: Path) -> None:
    for trial in search(tmp_path, sampler="random", trials=8).trials:
        closed = fixed(Settings(), trial.values)
        assert 1e-4 <= closed.inner.rate <= 1.0  # type: ignore[operator]
        assert closed.depth in (1, 5)
        assert closed.style in ("plain", {"kind": "lora", "rank": 4})


def test_only_the_winners_model_is_kept_and_the_records_of_all(tmp_path: Path) -> None:
    result = search(tmp_path)
    assert result.best is not None
    for trial in result.trials:
        kept = sorted(each.name for each in (tmp_path / "study" / trial.directory).iterdir())
        assert kept == (["log.txt", "model"] if trial == result.best else ["log.txt"])


def test_the_log_has_it_when_a_setting_has_no_effect(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    search(tmp_path, config=Closed(), trials=3, warmup_evaluations=7)
    said = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert said == [
        "tuning.trials 3 has no effect where nothing is left open: one trial is run",
        "tuning.warmup_evaluations 7 has no effect with pruner none",
    ]


def test_importances_name_what_matters(tmp_path: Path) -> None:
    importances = search(tmp_path, sampler="random", trials=12).importances
    assert sum(importances.values()) == pytest.approx(1)
    assert max(importances, key=importances.__getitem__) == "inner.rate"
    assert importances["inner.rate"] > 0.8


def test_a_sweep_too_short_for_importances_says_so(tmp_path: Path) -> None:
    short = search(tmp_path, sampler="random", trials=3)
    assert short.importances == {}
    assert short.why_no_importances == (
        "Which hyperparameter mattered is told from 4 complete trials on; of 3 trials 3 ended complete."
    )
    long = search(tmp_path, "long", sampler="random", trials=4)
    assert long.importances
    assert long.why_no_importances is None
    assert search(tmp_path, "closed", config=Closed()).why_no_importances is None


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp"])
def test_same_seed_draws_the_same_values(tmp_path: Path, sampler: str) -> None:
    drawn = [
        [each.values for each in search(tmp_path, name, seed=seed, sampler=sampler, parallel=1).trials]
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]


def test_smaller_is_better_for_a_loss(tmp_path: Path) -> None:
    result = search(tmp_path, metric="loss")
    assert result.best is not None
    assert result.best.value == pytest.approx(min(each.values["inner.rate"] for each in result.trials) / 5)


def test_the_metric_says_what_is_better(monkeypatch: pytest.MonkeyPatch) -> None:
    assert TuningConfig(metric="validation/macro_f1").direction == "maximize"
    assert TuningConfig(metric="validation/loss").direction == "minimize"
    monkeypatch.setattr("lm_modules.evaluation.metrics.accuracy.Accuracy.higher_is_better", False)
    assert TuningConfig(metric="validation/accuracy").direction == "minimize"


def test_a_study_is_known_by_what_its_metric_calls_better(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = FinetuningConfig(tuning=TuningConfig(metric="validation/accuracy"))
    base, data = (kind(uri="runs:/a/b", digest="0", run_id="a") for kind in (Model, LabelledData))
    before = _study_key(settings, base, data, seed=0)
    monkeypatch.setattr("lm_modules.evaluation.metrics.accuracy.Accuracy.higher_is_better", False)
    assert _study_key(settings, base, data, seed=0) != before


def test_a_study_goes_on_with_other_devices_but_not_in_another_precision() -> None:
    base, data = (kind(uri="runs:/a/b", digest="0", run_id="a") for kind in (Model, LabelledData))

    def key(**compute: Any) -> str:
        return _study_key(FinetuningConfig(compute=compute), base, data, seed=0)

    assert key() == key(devices=4, threads=2)
    assert len({key(), key(precision="bf16"), key(accelerator="cpu")}) == 3


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_trials_that_fall_behind_are_pruned_and_count(
    tmp_path: Path, pruner: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        result = search(tmp_path, pruner=pruner, sampler="random", trials=14, warmup_trials=2, parallel=1)
    pruned = [each for each in result.trials if each.state == "pruned"]
    assert pruned
    assert len(result.trials) == 14
    assert result.best not in pruned
    for each in pruned:
        assert len(each.steps) < 5
        assert each.value == each.steps[-1][1]
        assert not (tmp_path / "study" / each.directory / "state.safetensors").exists()
        said = f"trial {each.number} pruned at step {each.steps[-1][0]} (score {each.value:.4f})"
        assert said in caplog.messages


def test_no_trial_is_pruned_before_its_warmup(tmp_path: Path) -> None:
    result = search(
        tmp_path, pruner="median", sampler="random", trials=14, warmup_trials=2, warmup_evaluations=2, parallel=1
    )
    pruned = [each for each in result.trials if each.state == "pruned"]
    assert pruned
    assert min(each.steps[-1][0] for each in pruned) == 3


def test_trials_whose_steps_differ_in_size_are_compared_after_equally_many_evaluations(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        size = 7 if trial.number % 2 else 5
        for number in range(1, 6):
            if trial.report(number * size, {"score": -trial.number * number}):
                break
        return {}

    result = search(tmp_path, work=work, pruner="median", trials=8, warmup_trials=2, warmup_evaluations=2, parallel=1)
    assert [each.state for each in result.trials] == ["complete"] * 2 + ["pruned"] * 6
    assert {each.steps[-1][0] for each in result.trials[2:]} == {3 * 5, 3 * 7}


def test_only_so_many_run_side_by_side(tmp_path: Path) -> None:
    running, most, lock = [0], [0], threading.Lock()

    def work(trial: Trial) -> dict[str, Any]:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        result = climb(trial)
        with lock:
            running[0] -= 1
        return result

    search(tmp_path, work=work, parallel=3)
    assert most == [3]


def test_config_without_ranges_is_one_trial(tmp_path: Path) -> None:
    result = search(tmp_path, config=Closed())
    assert [(each.state, each.values) for each in result.trials] == [("complete", {})]
    assert result.importances == {}


def test_no_trial_begins_after_the_time_is_over(tmp_path: Path) -> None:
    result = search(tmp_path, work=lambda trial: climb(trial, seconds=0.05), trials=100, minutes=0.4 / 60, parallel=1)
    assert 1 <= len(result.trials) <= 4


def test_finished_sweep_is_not_run_again(tmp_path: Path) -> None:
    first = search(tmp_path)

    def never(trial: Trial) -> dict[str, Any]:
        raise AssertionError("nothing is left to do")

    assert search(tmp_path, work=never) == first
    assert len(search(tmp_path, trials=8).trials) == 8, "a larger budget goes on"


def test_continued_study_does_not_draw_its_first_values_again(tmp_path: Path) -> None:
    search(tmp_path, sampler="random", trials=3, parallel=1)
    trials = search(tmp_path, sampler="random", trials=6, parallel=1).trials
    assert len({each.values["inner.rate"] for each in trials}) == 6


def test_lost_winner_is_trained_again(tmp_path: Path) -> None:
    first = search(tmp_path).best
    assert first is not None
    shutil.rmtree(tmp_path / "study" / first.directory)
    again = search(tmp_path)
    assert len(again.trials) == 7
    assert again.trials[6].values == first.values
    assert again.best is not None
    assert again.best.usable()
    assert again.best.model == again.trials[6].model


def test_lost_winner_is_trained_again_also_with_a_smaller_budget(tmp_path: Path) -> None:
    first = search(tmp_path).best
    assert first is not None
    shutil.rmtree(tmp_path / "study")

    def interrupted(trial: Trial) -> dict[str, Any]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=interrupted, trials=2)
    again = search(tmp_path, trials=2)
    assert again.best is not None
    assert again.best.values == first.values
    assert sum(each.state == "complete" for each in again.trials) == 7


def test_result_names_no_path_of_this_machine(tmp_path: Path) -> None:
    result = search(tmp_path)
    assert str(tmp_path) not in result.model_dump_json()
    assert result.best is not None
    assert (tmp_path / "study" / str(result.best.model) / "config.json").exists()


def test_users_mistake_ends_the_sweep_at_once(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 1:
            raise ValueError("rank 0 is below 1; raise it")
        assert trial.cancelled.wait(20), "the other trial must be called off"
        raise RuntimeError("called off")

    with pytest.raises(ValueError, match=r"^rank 0 is below 1; raise it$"):
        search(tmp_path, work=work)


def test_failed_trial_is_recorded_and_the_sweep_goes_on(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 2:
            raise RuntimeError("no answer from http://me:secret@host")
        return climb(trial)

    result = search(tmp_path, work=work)
    assert [each.state for each in result.trials].count("complete") == 6
    assert (result.trials[2].state, result.trials[2].error) == ("failed", "RuntimeError: no answer from http://host")


def test_values_that_one_trial_refuses_end_that_trial_alone(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 2:
            raise ValueError("out of memory with a single example at once")
        return climb(trial)

    result = search(tmp_path, work=work, parallel=1, trials=4)
    assert (result.trials[2].state, result.trials[2].error) == (
        "failed",
        "ValueError: out of memory with a single example at once",
    )
    assert sum(each.state == "complete" for each in result.trials) == 4


def test_values_that_are_too_large_end_their_own_trials(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number in (0, 1, 3):
            raise TooLarge("out of memory with a single example at once")
        return climb(trial)

    result = search(tmp_path, work=work, parallel=1, trials=4)
    assert [each.state for each in result.trials[:4]] == ["failed", "failed", "complete", "failed"]
    assert sum(each.state == "complete" for each in result.trials) == 4


def test_hopeless_sweep_ends_with_the_first_cause(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        raise RuntimeError(f"no disk in trial {trial.number}")

    with pytest.raises(SweepFailed, match="all 3 trials failed, the first with: no disk in trial 0"):
        search(tmp_path, work=work, parallel=1, trials=50)


def test_metric_that_is_never_reported_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="never reported 'scores'"):
        search(tmp_path, metric="scores")


def test_diverged_trial_fails_and_does_not_win(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 0:
            trial.report(1, {"score": float("nan")})
            return {}
        return climb(trial)

    result = search(tmp_path, work=work)
    assert result.trials[0].state == "failed"
    assert "diverged" in str(result.trials[0].error)


@pytest.mark.parametrize("pruner", ["median", "none"])
def test_what_diverged_is_drawn_and_filed_without_a_figure(tmp_path: Path, pruner: str) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        if trial.number == 3:
            return {"stopped": any(trial.report(step, {"score": float("nan")}) for step in (1, 2, 3))}
        if trial.number == 4:
            trial.report(1, {"score": float("nan")})
        return climb(trial)

    result = search(tmp_path, work=work, pruner=pruner, parallel=1)
    assert (result.trials[3].value, result.trials[3].steps) == (None, ())
    assert result.trials[3].state == ("pruned" if pruner == "median" else "failed")
    assert SweepResult.model_validate_json(result.model_dump_json()) == result
    json.loads(json.dumps(result.table(), allow_nan=False))
    assert figures(result)


def test_what_runs_counts_against_the_budget_of_device_seconds(tmp_path: Path) -> None:
    def work(trial: Trial) -> dict[str, Any]:
        time.sleep(1.0)
        return climb(trial)

    result = search(tmp_path, work=work, trials=8, parallel=4, device_seconds=2.0)
    assert len(result.trials) == 4, "when the first of them ended, the others had used up the rest"


def test_interrupted_sweep_leaves_its_trials_to_the_next_one(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> dict[str, Any]:
        climb(trial, num_steps=2)
        if trial.number == 1:
            raise KeyboardInterrupt
        trial.cancelled.wait(20)
        raise RuntimeError("called off")

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, work=interrupted)
    result = search(tmp_path)
    assert [each.state for each in result.trials[:2]] == ["continued", "continued"]
    assert {each.retry_of for each in result.trials[2:4]} == {0, 1}
    for each in result.trials[2:4]:
        assert each.result["first_step"] == 3, "it goes on after the checkpoint of the trial that was cut off"
        assert each.values == result.trials[each.first].values
        assert [step for step, _ in each.steps] == [1, 2, 3, 4, 5], "what was reported before is not lost"


def test_kill_9_loses_no_trial(tmp_path: Path) -> None:
    root = Path(sys.modules["tasks.tune"].__file__ or "").parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(root), str(HERE)])}
    command = [sys.executable, str(HERE / "quick_trials.py"), str(tmp_path)]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    states = [tmp_path / "killed" / f"trial-{number}" / "state.safetensors" for number in (0, 1)]
    deadline = time.monotonic() + 60
    while not all(each.exists() and each.read_text() > "1" for each in states):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    again = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=True)
    process.communicate()
    assert again.stdout.startswith("finished")
    assert again.stderr == ""
    result = search(tmp_path, "killed", seed=1, trials=4)
    assert [each.state for each in result.trials[:2]] == ["continued", "continued"]
    assert sum(each.state == "complete" for each in result.trials) == 4
    for each in result.trials[2:4]:
        assert each.retry_of == each.first
        assert each.result["first_step"] > 1
        assert [step for step, _ in each.steps] == list(range(1, 41))


def test_trial_that_takes_its_process_along_is_given_up_in_the_end(tmp_path: Path) -> None:
    def interrupted(trial: Trial) -> dict[str, Any]:
        raise KeyboardInterrupt

    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            search(tmp_path, work=interrupted, parallel=1, trials=1)
    result = search(tmp_path, parallel=1, trials=1)
    assert [each.retry_of for each in result.trials] == [None, 0, 1, None]
    assert [each.state for each in result.trials] == ["continued", "continued", "failed", "complete"]


def test_half_written_line_of_the_journal_is_cut_off(tmp_path: Path) -> None:
    first = search(tmp_path)
    with (tmp_path / "optuna.journal").open("ab") as journal:
        journal.write(b'{"op_code": 4, "worker')
    assert search(tmp_path) == first
    assert len(search(tmp_path, trials=7).trials) == 7


def test_study_in_postgresql(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgresql_server() as url:
        monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", url)
        first = search(tmp_path)
        assert [each.state for each in first.trials] == ["complete"] * 6
        assert search(tmp_path) == first
        assert len(search(tmp_path, trials=7).trials) == 7


def test_study_in_a_database_by_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", f"sqlite:///{tmp_path / 'optuna.db'}")
    first = search(tmp_path)
    assert [each.state for each in first.trials] == ["complete"] * 6
    assert search(tmp_path) == first


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"low": 2, "high": 1}, "exchange them"),
        ({"low": 0, "high": 1, "log": True}, "raise low"),
        ({"low": 1, "high": 9, "log": True, "step": 2}, "exclude each other"),
        ({"low": 0.5, "high": 3, "integer": True}, "low 0.5 is no whole number"),
    ],
)
def test_impossible_range_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Range(**settings)


def test_choice_and_tuning_refuse_what_makes_no_sense() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        Choice(choices=())
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        TuningConfig(trials=0)
