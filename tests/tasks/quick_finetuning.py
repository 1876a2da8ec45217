"""Stands where fine-tuning stands in a trial: takes its arguments and reports as it does, in no time."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from configs.finetuning import FinetuningConfig
from configs.tuning import search_space
from lm_modules.progress import TOTAL

Report = Callable[[int, dict[str, float]], bool]


def climb(
    config: FinetuningConfig, *, base: str, data: Path, workdir: Path, seed: int, report: Report
) -> dict[str, Any]:
    assert (base, seed, search_space(config)) == ("base", 5, {})
    optimization = config.optimization
    for step in (10, 20, 30, 40):
        if report(step - 5, {"train/loss": 1 / step, TOTAL: 40}):  # between evaluations, where nothing is pruned
            raise AssertionError("asked to stop where there was no evaluation")
        if report(step, {"validation/macro_f1": float(optimization.learning_rate) * step, "train/loss": 1 / step}):  # type: ignore[arg-type]
            return {"stopped": True}
    model = workdir / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text(json.dumps({}))
    values = {
        "optimization.learning_rate": optimization.learning_rate,
        "optimization.layer_decay": optimization.layer_decay,
        "optimization.epochs": optimization.epochs,
        "dropout": config.dropout,
    }
    return {"stopped": False, "model": str(model), "values": values}


def die_once(workdir: Path, report: Report, **rest: Any) -> dict[str, Any]:
    marker = workdir / "checkpoint"
    if not marker.exists():
        report(10, {"validation/macro_f1": 0.1})
        report(20, {"validation/macro_f1": 0.2})
        marker.write_text("20")
        os.kill(os.getpid(), signal.SIGKILL)
    for step in (20, 30, 40):
        report(step, {"validation/macro_f1": step / 100})
    return {"stopped": False}


def first_waits(workdir: Path, report: Report, **rest: Any) -> dict[str, Any]:
    for step in range(1, 600):
        report(step, {"validation/macro_f1": 0.5})
        if workdir.name != "trial-0":
            break
        time.sleep(0.2)
    return {"stopped": False}


def refuse(**rest: Any) -> dict[str, Any]:
    raise ValueError("the data has one label only; add another")


def tell_where(config: FinetuningConfig, workdir: Path, report: Report, **rest: Any) -> dict[str, Any]:
    """Wait until two trials are at work, and tell what this one computes with."""
    (workdir / "here").touch()
    deadline = time.monotonic() + 60
    while len(list(workdir.parent.glob("trial-*/here"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return tell_where_alone(config, report)


def tell_where_alone(config: FinetuningConfig, report: Report, **rest: Any) -> dict[str, Any]:
    """Tell what this trial computes with."""
    import torch

    report(10, {"validation/macro_f1": 0.5})
    threads = [config.compute.threads, torch.get_num_threads()]
    return {"stopped": False, "gpus": os.environ["CUDA_VISIBLE_DEVICES"], "threads": threads}
