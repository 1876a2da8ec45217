"""What happens at every evaluation of a fine-tuning: score, remember the best, report, maybe stop.

Between evaluations the training loss is reported about once a second. The state is written afterwards (see
`finetuning_saving.py`), so that a report is made twice where it was not saved, and never lost.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

import lightning
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedTokenizerBase

from configs.component import members
from lm_modules.data.documents import Example
from lm_modules.evaluation.metrics import Metric
from lm_modules.evaluation.predictions import predict
from lm_modules.evaluation.scores import score
from lm_modules.hardware.energy import EnergyMeter
from lm_modules.heads import Head
from lm_modules.training.finetuning_state import FinetuningState
from lm_modules.training.reporting import TOTAL, Report

logger = logging.getLogger(__name__)

BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""Ways of attention where there is no backward pass: on a CPU, what is fastest in training takes twice as long."""

SECONDS_BETWEEN_REPORTS = 1.0


def evaluation_steps(num_steps: int, steps_per_epoch: int, evaluations_per_epoch: int) -> set[int]:
    """Return the steps after which the validation split is scored, evenly in every epoch, the last one included."""
    every = steps_per_epoch / evaluations_per_epoch
    return {math.ceil(place * every) for place in range(1, math.floor(num_steps / every) + 1)} | {num_steps}


class Validation:
    """The validation split, and how a network does on it.

    A head that writes answers `most_answers` examples only, drawn once; None answers all.
    """

    def __init__(
        self,
        head: Head,
        examples: Sequence[Example],
        tokenizer: PreTrainedTokenizerBase,
        labels: Sequence[str],
        most_answers: int | None = None,
    ) -> None:
        self.head = head
        self.examples = examples
        self.tokenizer = tokenizer
        known = [head.encode(each.fields, tokenizer, labels) for each in examples]
        if not any(known):
            raise ValueError(
                f"none of the {len(examples)} validation examples can be scored: there are none, or nothing of their "
                "answers fits; add some, or raise finetuning.context_length"
            )
        # what teaches nothing is asked all the same, as at the test, and has no loss
        self.encoded = [
            rows or head.encode(head.asked(each.fields), tokenizer, labels)
            for each, rows in zip(examples, known, strict=True)
        ]
        self.answered = list(range(len(examples)))
        if head.writes and most_answers is not None:
            self.answered = sorted(random.Random(0).sample(self.answered, min(most_answers, len(examples))))
        self.references = [head.reference(examples[place].fields) for place in self.answered]
        asked = {label for place in self.answered for label in head.classes(examples[place].fields)}
        self.labels = sorted(asked.union(labels))  # what training does not know counts as missed
        families = members("lm_modules.evaluation.metrics")
        self.metrics: dict[str, Metric] = {kind: families[kind](kind=kind) for kind in head.metrics}  # type: ignore[misc]

    def values(self, network: Any) -> dict[str, float]:
        """Return `validation/loss`, the mean over all targets, and the head's metrics over the examples answered."""
        predictions = predict(self.head, network, self.tokenizer, self.examples, self.encoded, set(self.answered))
        losses = [(each.loss, each.num_targets) for each in predictions if each.loss is not None]
        num_targets = sum(number for _, number in losses)
        found = {"validation/loss": sum(loss * number for loss, number in losses) / max(num_targets, 1)}
        for kind, metric in self.metrics.items():
            answers = [predictions[place].value for place in self.answered]
            found[f"validation/{kind}"] = score(metric, answers, self.references, self.labels)
        return found

    def is_better(self, name: str) -> Callable[[float, float], bool]:
        """Return how two values of `name` compare: more is better for most metrics, less for the loss."""
        kind = name.removeprefix("validation/")
        higher = kind != "loss" and self.metrics[kind].higher_is_better
        return (lambda new, old: new > old) if higher else (lambda new, old: new < old)


class Evaluations(lightning.Callback):
    """Runs the evaluations of one fine-tuning and ends it early."""

    def __init__(
        self,
        state: FinetuningState,
        validation: Validation,
        report: Report,
        *,
        steps: set[int],
        num_steps: int,
        metric: str,
        patience: int | None,
        num_devices: int = 1,
    ) -> None:
        self.state = state
        self.num_devices = num_devices
        self.validation = validation
        self.report = report
        self.steps, self.num_steps = steps, num_steps
        self.metric = metric
        self.is_better = validation.is_better(metric)
        self.patience = patience
        self.stopped = False
        self._losses: list[torch.Tensor] = []
        self._num_told = 0

    @property
    def exhausted(self) -> bool:
        """Whether the last `patience` evaluations brought nothing better."""
        return self.patience is not None and self.state.progress.evaluations_since_best >= self.patience

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Go on where the last process stopped: with its clock, and with the losses since its last evaluation."""
        progress = self.state.progress
        self._started = time.perf_counter() - progress.seconds
        self._last_report = time.perf_counter()
        # trials share a machine
        self.energy = EnergyMeter(module.device, self.num_devices, progress.kilowatt_hours, whole_machine=False)
        self._losses = list(torch.tensor(progress.losses, device=module.device))
        self._num_told = len(self._losses)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: Any, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        """Evaluate after the steps that are due; after others report now and then."""
        self._losses.append(outputs["loss"].detach())
        self.state.progress.step += 1
        if self.state.progress.step in self.steps:
            self._evaluate(trainer, module)
        elif time.perf_counter() - self._last_report >= SECONDS_BETWEEN_REPORTS:
            loss = torch.stack(self._losses[self._num_told :]).mean().item()
            self._num_told = len(self._losses)
            self._report({"train/loss": loss})
        trainer.should_stop = trainer.should_stop or self.stopped or self.exhausted

    def take_stock(self, module: Any) -> None:
        """Bring `progress` up to date in what is not counted with every step."""
        progress = self.state.progress
        progress.seconds = time.perf_counter() - self._started
        progress.kilowatt_hours = self.energy.update()
        progress.micro_batch_examples = module.micro_batch_examples
        progress.losses = torch.stack(self._losses).tolist() if self._losses else []

    def _is_better(self, new: float, old: float) -> bool:
        """Tell whether a figure is better than one that may be no number."""
        return not math.isnan(new) if math.isnan(old) else self.is_better(new, old)

    def _report(self, values: dict[str, float]) -> None:
        wanted = self.report(self.state.progress.step, values | {TOTAL: self.num_steps})
        self.stopped = self.stopped or wanted
        self._last_report = time.perf_counter()

    def _evaluate(self, trainer: lightning.Trainer, module: Any) -> None:
        progress = self.state.progress
        with trainer.precision_plugin.forward_context(), sdpa_kernel(BACKENDS):
            values = self.validation.values(module.network)
            for each in module.besides:
                values |= each.values()
        values["train/loss"] = torch.stack(self._losses).mean().item()
        self._losses.clear()
        self._num_told = 0
        before = progress.best_values.get(self.metric)
        is_best = before is None or self._is_better(values[self.metric], before)
        if is_best:
            progress.best_step, progress.best_values = progress.step, values
        progress.evaluations_since_best = 0 if is_best else progress.evaluations_since_best + 1
        self.take_stock(module)
        logger.info("step %d: %s", progress.step, values)
        self._report({**values, "energy/kilowatt_hours": progress.kilowatt_hours})
