"""What pruning saves in a sweep: the best score and the steps of training, beside the same sweep without a pruner.

    python benchmarks/sweep_pruning.py FOLDER [--pruners hyperband median] [--trials 24] [--seeds 4] [--check]

FOLDER holds rt-polarity.pos and rt-polarity.neg (Pang and Lee 2005). Searched are learning rate, its decay over the
layers and dropout of a tiny BERT with random weights; every trial has the same epochs, and none stops by itself. Each
seed of the sampler makes one sweep without a pruner and one with each; the spread of the best scores without one, over
the seeds, says what a difference in the best score is worth. The last of the pruners, with its settings as they come,
is held to that and to the steps. Trials run in processes of their own, as many at once as there are cores, by the study
and the training of `rootstock finetune`; Prefect and MLflow are left out.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aims import Aim, add_check, tell
from finetuning_classification import read
from tiny_bases import save_encoder, write_labelled

logger = logging.getLogger("sweep_pruning")

METRIC = "validation/macro_f1"
MOST_STEPS = 0.5
"""Part of the steps of the sweep without a pruner that one with it may take."""


@dataclass(frozen=True)
class Sweep:
    """What came of one sweep."""

    best: float
    steps: int
    num_pruned: int
    seconds: float


def config(pruner: str, trials: int, parallel: int) -> Any:
    """Return the settings of a sweep."""
    from configs.finetuning import FinetuningConfig

    return FinetuningConfig.model_validate(
        {
            "head": "sequence_classification",
            "context_length": 64,
            "optimization": {
                "learning_rate": {"low": 1e-5, "high": 1e-2, "log": True},
                "layer_decay": {"low": 0.7, "high": 1.0},
                "epochs": 4,
                "evaluations_per_epoch": 3,
                "early_stopping_patience": None,
            },
            "tuning": {"trials": trials, "parallel": parallel, "pruner": pruner, "metric": METRIC},
        }
    )


def run(settings: Any, base: Path, data: Path, directory: Path, seed: int) -> Sweep:
    """Run one sweep."""
    from configs.tuning import fixed
    from tasks.processes import run_isolated
    from tasks.trial import FINETUNE
    from tasks.tune import sweep

    def train(trial: Any) -> dict[str, Any]:
        trial.result = run_isolated(
            FINETUNE,
            {
                "config": fixed(settings, trial.values).without_budget(),
                "base": base,
                "data": data,
                "workdir": trial.directory,
                "seed": trial.seed,
            },
            name=f"trial {trial.number}",
            report=lambda step, values: trial.report(step, values),
            threads=1,
            log=directory / "log.txt",
        )
        return trial.result

    started = time.monotonic()
    with ThreadPoolExecutor(settings.tuning.parallel) as pool:

        def submit(trial: Any) -> Future[dict[str, Any]]:
            return pool.submit(train, trial)

        found = sweep(
            settings, settings.tuning, study_name=directory.name, directory=directory, seed=seed, submit=submit
        )
    assert found.winner is not None
    assert found.winner.value is not None
    return Sweep(
        found.winner.value,
        sum(each.steps[-1][0] for each in found.trials if each.steps),
        sum(each.state == "pruned" for each in found.trials),
        time.monotonic() - started,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pruners", nargs="+", default=["median"])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=4, help="at least 2: their spread is what differences are held to")
    parser.add_argument("--examples", type=int, default=4000)
    add_check(parser)
    options = parser.parse_args()
    if options.seeds < 2:
        parser.error("--seeds must be at least 2")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    logging.getLogger("aims").setLevel(logging.INFO)
    splits = read(options.folder)
    splits["train"] = splits["train"][:: max(1, len(splits["train"]) // options.examples)]  # of both labels
    parallel = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    sweeps: dict[str, list[Sweep]] = {each: [] for each in ("none", *options.pruners)}
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ROOTSTOCK_HOME"] = folder
        base = save_encoder(Path(folder) / "base", [row["text"] for row in splits["train"]], width=64)
        data = write_labelled(Path(folder) / "data", "sequence_classification", splits)
        for seed in range(options.seeds):
            for pruner, seen in sweeps.items():
                settings = config(pruner, options.trials, parallel)
                seen.append(run(settings, base, data, Path(folder) / f"{pruner}-{seed}", seed))
                logger.info(
                    "seed %d, %-9s best %.4f, %6d steps, %2d of %d trials pruned, %4.0f s",
                    *(seed, pruner, seen[-1].best, seen[-1].steps, seen[-1].num_pruned, options.trials),
                    seen[-1].seconds,
                )
    whole = sweeps.pop("none")
    spread = statistics.stdev(each.best for each in whole)
    logger.info("spread of the best score without a pruner: %.4f", spread)
    for pruner, seen in sweeps.items():
        lost = statistics.mean(one.best - other.best for one, other in zip(whole, seen, strict=True))
        part = sum(each.steps for each in seen) / sum(each.steps for each in whole)
        logger.info(
            "%s: the best score loses %.4f in the mean over the seeds, with %.3f of the steps", pruner, lost, part
        )
    aims = [
        Aim(f"{pruner}: what the best score loses, mean over the seeds,", lost, spread, at_most=True),
        Aim(f"{pruner}: part of the steps", part, MOST_STEPS, at_most=True),
    ]
    tell(aims, check=options.check)


if __name__ == "__main__":
    main()
