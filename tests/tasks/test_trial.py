"""Trials under a real Prefect server and a real MLflow store, training in real processes."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space
from configs.yaml_files import read_value
from tasks import filing, tracking
from tasks.study import Trial
from tasks.sweep_result import SweepResult
from tasks.trial import Finetuning, run_trial

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

STATES = {"complete": "Completed", "pruned": "Pruned"}


@pytest.fixture
def sweep_of(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[SweepResult, str, str]]:
    """Return a function that runs a sweep with quick work as a flow: result, flow run id, MLflow run of the stage."""
    from prefect import flow, runtime
    from prefect.task_runners import ThreadPoolTaskRunner

    from tasks.tune import sweep

    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))

    def run(function: str, devices: int = 1, **tuning: Any) -> tuple[SweepResult, str, str]:
        monkeypatch.setattr("tasks.trial.FINETUNE", f"quick_finetuning:{function}")
        settings = {"metric": "validation/macro_f1", "sampler": "random", **tuning}
        config = FinetuningConfig(base="base", tuning=settings, compute={"devices": devices})  # type: ignore[arg-type]

        @flow(task_runner=ThreadPoolTaskRunner())
        def finetuning() -> tuple[SweepResult, str, str]:
            with tracking.open_run("finetune", experiment="trials", key=str(tmp_path)) as stage:
                work = Finetuning(config, "base", tmp_path, experiment="trials", parent=stage.id)
                result = sweep(
                    config, config.tuning, study_name="s", directory=tmp_path / "s", seed=5, submit=work.submit
                )
                return result, runtime.flow_run.id, stage.id

        return finetuning()

    return run


def task_runs(flow_run_id: str) -> dict[str, Any]:
    """Return the task runs of a flow by name, once the server has recorded their ends."""
    import time

    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import FlowRunFilter

    with get_client(sync_client=True) as client:
        for _ in range(100):
            runs = client.read_task_runs(flow_run_filter=FlowRunFilter(id={"any_": [flow_run_id]}))  # type: ignore[arg-type]
            if runs and all(each.state is not None and each.state.is_final() for each in runs):
                break
            time.sleep(0.2)
    return {each.name: each for each in runs}


def told_on_the_page_of(task_run: Any) -> str:
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.filters import ArtifactFilter

    with get_client(sync_client=True) as client:
        only = ArtifactFilter.model_validate({"task_run_id": {"any_": [task_run.id]}})
        (artifact,) = client.read_artifacts(artifact_filter=only)
    return str(artifact.data)


def test_trials_are_task_runs_and_mlflow_runs_that_know_each_other(
    sweep_of: Callable[..., tuple[SweepResult, str, str]], tmp_path: Path
) -> None:
    result, flow_run_id, stage_id = sweep_of("climb", trials=8, parallel=2, warmup_trials=2, pruner="median")
    assert {each.state for each in result.trials} == {"complete", "pruned"}
    shown = task_runs(flow_run_id)
    children = {each["id"]: each for each in tracking.child_runs(stage_id)}
    assert len(shown) == len(children) == 8
    for trial in result.trials:
        task_run, run = shown[f"trial-{trial.number}"], children[trial.run_id]
        assert task_run.state.name == STATES[trial.state]
        assert str(task_run.id) == trial.task_run_id == run["tags"]["prefect.task_run_id"]
        assert (
            told_on_the_page_of(task_run)
            == f"Trial {trial.number} of the Optuna study `s`; MLflow run `{trial.run_id}`"
        )
        assert run["name"] == f"trial-{trial.number}"
        assert run["status"] == "FINISHED"
        assert run["tags"]["optuna.state"] == trial.state.upper()
        assert run["tags"]["optuna.study"] == "s"
        assert run["tags"]["optuna.trial"] == str(trial.number)
        assert run["tags"]["prefect.flow_run_id"] == flow_run_id
        assert tracking.metric_history(run["id"], "validation/macro_f1") == list(trial.steps)
        filed = FinetuningConfig.model_validate(read_value(filing.read_text(run["id"], "config.yaml") or "", "config"))
        assert fixed(filed, trial.values) == filed
        assert search_space(filed) == {}
        assert float(run["params"]["optimization.learning_rate"]) == trial.values["optimization.learning_rate"]
    assert result.best is not None
    assert result.best.result["values"] == result.best.values, "each trains with the values of its trial"
    assert (tmp_path / "s" / result.best.directory / "log.txt").exists()


def test_what_has_ended_keeps_its_state_when_the_sweep_fails(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow, runtime, task

    from tasks.trial import submit_trial
    from tasks.tune import sweep

    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))
    ids = []

    def work(trial: Trial) -> dict[str, Any]:
        trial.report(1, {"validation/macro_f1": 0.5})
        if trial.number == 1:
            raise RuntimeError("once")
        return {}

    @task
    def tune() -> None:
        config = FinetuningConfig(base="base", tuning={"trials": 2, "parallel": 1, "pruner": "none"})  # type: ignore[arg-type]
        directory = tmp_path / "s"
        submit = partial(submit_trial, run=work)
        sweep(config, config.tuning, study_name="s", directory=directory, seed=5, submit=submit)
        raise RuntimeError("what comes after the sweep fails")

    @flow
    def finetuning() -> None:
        ids.append(runtime.flow_run.id)
        tune()

    with pytest.raises(RuntimeError, match="after the sweep"):
        finetuning()
    states = {name: each.state.name for name, each in task_runs(ids[0]).items() if name.startswith("trial-")}
    assert states == {"trial-0": "Completed", "trial-1": "Failed", "trial-2": "Completed"}


def test_trials_side_by_side_do_not_wait_for_a_thread(
    tmp_path: Path, prefect_server: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from prefect import flow

    from flows.finetuning import finetuning
    from tasks.tune import sweep

    monkeypatch.setenv("ROOTSTOCK_OPTUNA_STORAGE", str(tmp_path / "optuna.journal"))
    all_at_once = threading.Barrier(20, timeout=60)

    def work(trial: Trial) -> dict[str, Any]:
        all_at_once.wait()
        trial.report(1, {"validation/macro_f1": 0.5})
        return {}

    @flow(task_runner=finetuning.task_runner)
    def quick() -> SweepResult:
        config = FinetuningConfig(base="base", tuning={"trials": 20, "parallel": 20, "pruner": "none"})  # type: ignore[arg-type]
        return sweep(
            config,
            config.tuning,
            study_name="s",
            directory=tmp_path / "s",
            seed=5,
            submit=lambda trial: run_trial.submit(trial.number, trial, work),
        )

    assert {each.state for each in quick().trials} == {"complete"}


def test_trial_that_dies_is_tried_again_in_the_same_mlflow_run(
    sweep_of: Callable[..., tuple[SweepResult, str, str]],
) -> None:
    result, flow_run_id, stage_id = sweep_of("die_once", trials=2, parallel=1, pruner="none")
    assert [each.state for each in result.trials] == ["complete", "complete"]
    assert [each.run_count for each in task_runs(flow_run_id).values()] == [2, 2]
    runs = tracking.child_runs(stage_id)
    assert [each["status"] for each in runs] == ["FINISHED", "FINISHED"]
    for each in runs:
        assert [step for step, _ in tracking.metric_history(each["id"], "validation/macro_f1")] == [10, 20, 30, 40]


def test_a_task_run_that_is_cancelled_ends_its_trial_alone(
    sweep_of: Callable[..., tuple[SweepResult, str, str]],
) -> None:
    from prefect.client.orchestration import get_client
    from prefect.states import Cancelled

    def cancel() -> None:
        with get_client(sync_client=True) as client:
            while not (running := [each for each in client.read_task_runs() if each.name == "trial-0" and is_at(each)]):
                time.sleep(0.2)
            client.set_task_run_state(running[0].id, Cancelled(), force=True)

    def is_at(task_run: Any) -> bool:
        return task_run.state.is_running() and bool(tracking.runs_with_tag("prefect.task_run_id", str(task_run.id)))

    threading.Thread(target=cancel, daemon=True).start()
    result, flow_run_id, _ = sweep_of("first_waits", trials=2, parallel=1, pruner="none")
    assert [each.state for each in result.trials] == ["failed", "complete", "complete"]
    assert result.trials[0].error == "TrialCancelled: its task run was cancelled"
    assert task_runs(flow_run_id)["trial-0"].state.name == "Cancelled"
    assert tracking.run_info(str(result.trials[0].run_id))["status"] == "KILLED"


def test_users_mistake_is_not_tried_again_and_ends_the_flow(
    sweep_of: Callable[..., tuple[SweepResult, str, str]],
) -> None:
    with pytest.raises(ValueError, match=r"^the data has one label only; add another$"):
        sweep_of("refuse", trials=4, parallel=1)
    (run,) = tracking.runs_with_tag("optuna.trial", "0", "trials")[:1]
    assert run["status"] == "FAILED"
    assert "one label only" in run["tags"][tracking.ERROR]


def test_trials_and_their_ranks_share_cores_and_gpus(
    sweep_of: Callable[..., tuple[SweepResult, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.trial.num_cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2,3")
    result, _, _ = sweep_of("tell_where", devices=2, trials=2, parallel=2)
    assert {each.result["gpus"] for each in result.trials} == {"0,1,2,3", "2,3,0,1"}
    assert [each.result["threads"] for each in result.trials] == [[2, 2]] * 2


def test_a_trial_that_is_alone_has_all_cores(
    sweep_of: Callable[..., tuple[SweepResult, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.trial.num_cores", lambda: 8)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    result, _, _ = sweep_of("tell_where_alone", trials=1, parallel=2)
    assert [each.result["threads"] for each in result.trials] == [[8, 8]]


def test_a_fine_tuning_in_which_nothing_is_open_has_all_cores(tmp_path: Path) -> None:
    one = {"learning_rate": 1e-3, "layer_decay": 1.0, "epochs": 1}
    closed = FinetuningConfig(optimization=one, dropout=0.1, tuning={"trials": 8, "parallel": 2})  # type: ignore[arg-type]
    assert Finetuning(closed, tmp_path, tmp_path, experiment="", parent="")._side_by_side() == 1


def test_trial_is_never_cached() -> None:
    from prefect.cache_policies import NO_CACHE

    assert run_trial.cache_policy == NO_CACHE
    assert run_trial.persist_result is False
