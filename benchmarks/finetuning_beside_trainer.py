"""Rootstock's fine-tuning beside the `transformers` Trainer.

Both have the same base, examples, steps, batch, learning rate, schedule and weight decay. A benchmark says what is
taught (`Contest`), and what a user of the Trainer would write for it (`Pieces`: its own encoding, data collator and
metric code). Both learn with every seed, each fit in a process of its own, one after another and not always in the same
order. The clock runs from the examples on disk to the best weights on disk: tokenizing, training, an evaluation an
epoch. Both compute in the precision that Rootstock finds to suit the machine.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import os
import shutil
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aims import add_check, tell
from side_by_side import Seen, aims, table

logger = logging.getLogger("finetuning_beside_trainer")


@dataclass(frozen=True)
class Contest:
    """What both are to learn."""

    head: Mapping[str, Any]
    """Of Rootstock's configuration; its first metric is what is compared."""
    base: Path
    data: Path
    """A labelled directory."""
    pieces: Callable[[Contest, Mapping[str, list[dict[str, Any]]]], Pieces]
    """What the Trainer is given for the examples of the splits; a function of a module."""
    epochs: int = 3
    learning_rate: float = 1e-3
    batch_examples: int = 32
    context_length: int = 128
    weight_decay: float = 0.01
    warmup_fraction: float = 0.1
    dropout: float = 0.1
    grouped: bool = False
    """Let the Trainer, too, make batches of texts of similar length, which it does not unless it is asked to."""


@dataclass
class Pieces:
    """What a user of the Trainer writes for a task."""

    model: Any
    tokenizer: Any
    datasets: Mapping[str, Any]
    """train, validation and test, encoded."""
    collator: Any
    compute_metrics: Any
    trainer: Any = None
    """Another class than `Trainer`."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """More of its arguments; a class of its own under `class`."""
    score: Callable[[Any, Any], float] | None = None
    """Scores a trainer on the test set; None evaluates with `compute_metrics`."""


def ours(contest: Contest, seed: int, workdir: Path) -> Seen:
    """Fine-tune by Rootstock."""
    from configs.component import members
    from lm_modules.data.labelled_examples import read_examples, read_labels
    from lm_modules.evaluation.predictions import predict_with_directory
    from lm_modules.evaluation.scores import score
    from lm_modules.training.finetuning import finetune
    from lm_modules.training.reporting import keep_going

    config = settings_of(contest)
    seen = _timed(
        lambda: finetune(config, base=contest.base, data=contest.data, workdir=workdir, seed=seed, report=keep_going)
    )
    result = seen.pop("result")
    head, examples = config.head, read_examples(contest.data, "test")
    answers = [each.value for each in predict_with_directory(result["model"], examples)]
    metric: Any = members("lm_modules.evaluation.metrics")[head.metrics[0]]()
    value = score(metric, answers, [head.reference(each.fields) for each in examples], read_labels(contest.data))
    return {**seen, "steps": result["steps"], "score": value}


def settings_of(contest: Contest) -> Any:
    """Return Rootstock's settings."""
    from configs.finetuning import FinetuningConfig

    return FinetuningConfig(
        data={"kind": "jsonl", "path": str(contest.data / "train.jsonl")},
        head=contest.head,
        dropout=contest.dropout,
        context_length=contest.context_length,
        optimization={
            "learning_rate": contest.learning_rate,
            "layer_decay": 1.0,
            "epochs": contest.epochs,
            "batch_examples": contest.batch_examples,
            "weight_decay": contest.weight_decay,
            "warmup_fraction": contest.warmup_fraction,
            "evaluations_per_epoch": 1,
            "early_stopping_patience": None,
        },
    )


def theirs(contest: Contest, seed: int, workdir: Path) -> Seen:
    """Fine-tune by the Trainer."""
    import torch
    from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

    from configs.compute import ComputeConfig
    from lm_modules.training.trainer import resolve_precision

    metric = settings_of(contest).head.metrics[0]

    def train() -> tuple[Any, Pieces]:
        set_seed(seed)
        splits = {split: _rows(contest.data / f"{split}.jsonl") for split in ("train", "validation", "test")}
        pieces = contest.pieces(contest, splits)
        more = dict(pieces.arguments)
        arguments = more.pop("class", TrainingArguments)(
            output_dir=str(workdir),
            num_train_epochs=contest.epochs,
            learning_rate=contest.learning_rate,
            per_device_train_batch_size=contest.batch_examples,
            per_device_eval_batch_size=contest.batch_examples,
            weight_decay=contest.weight_decay,
            warmup_steps=contest.warmup_fraction,
            lr_scheduler_type="linear",
            max_grad_norm=1.0,
            use_cpu=not torch.cuda.is_available(),
            train_sampling_strategy="group_by_length" if contest.grouped else "random",
            bf16=resolve_precision(ComputeConfig()) == "bf16",
            eval_strategy="epoch",
            save_strategy="epoch",
            save_total_limit=1,
            load_best_model_at_end=True,
            metric_for_best_model=metric,
            seed=seed,
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
            **more,
        )
        trainer = (pieces.trainer or Trainer)(
            model=pieces.model,
            args=arguments,
            train_dataset=pieces.datasets["train"],
            eval_dataset=pieces.datasets["validation"],
            data_collator=pieces.collator,
            compute_metrics=pieces.compute_metrics,
            processing_class=pieces.tokenizer,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return trainer, pieces

    seen = _timed(train)
    trainer, pieces = seen.pop("result")
    if pieces.score is not None:
        value = pieces.score(trainer, pieces.datasets["test"])
    else:
        value = trainer.evaluate(pieces.datasets["test"], metric_key_prefix="test")[f"test_{metric}"]
    return {**seen, "steps": trainer.state.global_step, "score": value}


def _rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _timed(work: Callable[[], Any]) -> dict[str, Any]:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    return {
        "seconds": time.perf_counter() - wall,
        "processor": time.process_time() - processor,
        "result": result,
    }


CONTESTANTS = {"Rootstock": ours, "Trainer": theirs}


def compete(contest: Contest, *, seeds: int, workdir: Path, threads: int) -> dict[str, list[Seen]]:
    """Let both learn with every seed; return what was seen of each."""
    os.environ["OMP_NUM_THREADS"] = str(threads)
    os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    found: dict[str, list[Seen]] = {name: [] for name in CONTESTANTS}
    for seed in range(seeds):
        names = list(CONTESTANTS)
        for name in names if seed % 2 else reversed(names):
            folder = workdir / f"{name}-{seed}"
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                seen = process.submit(_in_a_process_of_its_own, name, contest, seed, folder, threads).result()
            shutil.rmtree(folder, ignore_errors=True)
            found[name].append(seen)
            logger.info("%-9s seed %d: %s", name, seed, {key: round(value, 4) for key, value in seen.items()})
    return found


def _in_a_process_of_its_own(name: str, contest: Contest, seed: int, folder: Path, threads: int) -> Seen:
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import datasets
    import torch
    import transformers.trainer

    import lm_modules.training.finetuning  # noqa: F401  # neither clock runs while modules are read

    torch.set_num_threads(threads)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    return CONTESTANTS[name](contest, seed, folder)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with what all these benchmarks ask."""
    found = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    found.add_argument("data", type=Path, help="folder of the data set")
    found.add_argument("--seeds", type=int, default=3)
    found.add_argument("--epochs", type=int)
    found.add_argument("--examples", type=int, help="so many training examples at most")
    found.add_argument("--grouped", action="store_true", help="the Trainer makes batches of similar lengths, too")
    found.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    add_check(found)
    return found


def show(contest: Contest, options: argparse.Namespace, workdir: Path) -> None:
    """Let both compete, print the table and the aims."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    found = compete(contest, seeds=options.seeds, workdir=workdir, threads=options.threads)
    logger.info("\n%s\n", table(found, settings_of(contest).head.metrics[0]))
    tell(aims(found), check=options.check)
