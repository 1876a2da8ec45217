"""What pruning saves in a sweep: the best score that it finds with half of the steps, beside a sweep without a pruner.

    python benchmarks/sweep_pruning.py FOLDER [--pruners hyperband median] [--trials 24] [--seeds 3] [--check]

FOLDER holds rt-polarity.pos and rt-polarity.neg (Pang and Lee 2005). Searched are learning rate, its decay over the
layers and dropout of a tiny BERT with random weights; every trial has the same epochs, and none stops by itself. Each
seed of the sampler makes one sweep without a pruner, and with each one of twice as many trials, of which those count
that began and ended within half of the steps of the first. The spread of the best scores without a pruner, over the
seeds, says what a difference in the best score is worth. The last of the pruners, with its settings as they come, is
held to that. Trials run in processes of their own, as many at once as there are cores, by the study and the training of
`rootstock finetune`; Prefect and MLflow are left out.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import Any

from aims import Aim, add_check, tell
from finetuning_classification import read
from tiny_bases import save_encoder, write_labelled

logger = logging.getLogger("sweep_pruning")

METRIC = "validation/macro_f1"
MOST_STEPS = 0.5
"""Part of the steps of the sweep without a pruner in which one with it is to find as good a score."""


@dataclass(frozen=True)
class Sweep:
    """What came of one sweep: its trials, each by its steps, its score, and whether it came to its end."""

    trials: tuple[tuple[int, float, bool], ...]
    seconds: float

    @property
    def steps(self) -> int:
        """The steps of all trials."""
        return sum(steps for steps, _, _ in self.trials)

    @property
    def best(self) -> float:
        """The best score."""
        return max(score for _, score, complete in self.trials if complete)

    def first(self, number: int) -> Sweep:
        """Return what came of its first trials."""
        return replace(self, trials=self.trials[:number])

    def within(self, most_steps: float) -> Sweep:
        """Return what came of as many trials, in the order in which they began, as took so many steps together."""
        used = list(accumulate(steps for steps, _, _ in self.trials))
        return self.first(sum(each <= most_steps for each in used))


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
    ended = [each for each in found.trials if each.steps]
    trials = tuple((each.steps[-1][0], each.value or 0.0, each.state == "complete") for each in ended)
    return Sweep(trials, time.monotonic() - started)


def tell_of(what: str, sweep: Sweep) -> None:
    """Print a line on a sweep, or a part of one."""
    num_pruned = sum(not complete for _, _, complete in sweep.trials)
    logger.info(
        "%-28s best %.4f, %6d steps, %2d of %2d trials pruned, %4.0f s",
        *(what, sweep.best, sweep.steps, num_pruned, len(sweep.trials), sweep.seconds),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pruners", nargs="+", default=["median"])
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=3, help="at least 2: their spread is what differences are held to")
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
                trials = options.trials if pruner == "none" else 2 * options.trials
                settings = config(pruner, trials, parallel)
                seen.append(run(settings, base, data, Path(folder) / f"{pruner}-{seed}", seed))
                tell_of(f"seed {seed}, {pruner}", seen[-1])
                if pruner != "none":
                    tell_of("    with as many trials", seen[-1].first(options.trials))
                    tell_of("    with half of the steps", seen[-1].within(MOST_STEPS * sweeps["none"][-1].steps))
    whole = sweeps.pop("none")
    spread = statistics.stdev(each.best for each in whole)
    logger.info("spread of the best score without a pruner: %.4f", spread)
    for pruner, seen in sweeps.items():
        pairs = list(zip(whole, seen, strict=True))
        lost = statistics.mean(one.best - other.within(MOST_STEPS * one.steps).best for one, other in pairs)
        as_many = [other.first(options.trials) for other in seen]
        logger.info(
            "%s: with as many trials the best score loses %.4f in the mean over the seeds, with %.3f of the steps",
            pruner,
            statistics.mean(one.best - other.best for one, other in zip(whole, as_many, strict=True)),
            sum(each.steps for each in as_many) / sum(each.steps for each in whole),
        )
    aims = [Aim(f"{pruner}: what the best score loses with half of the steps, mean", lost, spread, at_most=True)]
    tell(aims, check=options.check)


if __name__ == "__main__":
    main()
