"""Teaching a pretrained model a task from labelled examples.

The batch and the dropout of optimizer step t depend on the data, the seed and t alone, and the state is written at
every evaluation: a fine-tuning that was killed goes on and ends with the same weights to the bit.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from configs.compute import ComputeConfig
from configs.finetuning import FinetuningConfig, FinetuningOptimizationConfig
from configs.tuning import fixed, search_space
from lm_modules.adapters import Adapter
from lm_modules.data.labelled_examples import fingerprint, read_examples, read_labels
from lm_modules.data.length_grouping import LengthGroupedBatches
from lm_modules.heads import PAD_MULTIPLE, Encoded, Head
from lm_modules.model.stock import open_tokenizer
from lm_modules.training.dropout import apply_dropout
from lm_modules.training.finetuned_model import save_model
from lm_modules.training.finetuning_evaluations import Evaluations, Validation, evaluation_steps
from lm_modules.training.finetuning_state import FinetuningState, identity_of, trainable
from lm_modules.training.layers import depth_of_parameters
from lm_modules.training.optimizers import bring_state_to_weights
from lm_modules.training.reporting import Report
from lm_modules.training.schedules import warmup_stable_decay
from lm_modules.training.trainer import build_trainer, fit, resolve_precision


class FineTuning(lightning.LightningModule):
    """A stock model with its head, its loss, and AdamW with layer-wise learning rates."""

    def __init__(
        self, network: nn.Module, head: Head, optimization: FinetuningOptimizationConfig, num_steps: int, seed: int
    ) -> None:
        super().__init__()
        self.network = network
        self.head = head
        self.optimization = optimization
        self.num_steps = num_steps
        self.seed = seed
        self.optimizer = torch.optim.AdamW(parameter_groups(network, optimization), fused=True)

    def on_train_start(self) -> None:
        """Put what the optimizer remembers beside the weights, which have their device by now."""
        bring_state_to_weights([self.optimizer])

    def training_step(self, batch: dict[str, Any], batch_index: int) -> Tensor:
        """Return the loss of `batch["step"]`, whose dropout is drawn from the seed and that step."""
        step = batch.pop("step")
        torch.manual_seed(self.seed * 1_000_003 + step)
        warmup = round(self.optimization.warmup_fraction * self.num_steps)
        part = warmup_stable_decay(
            step, steps=self.num_steps, warmup_steps=warmup, decay_steps=self.num_steps - warmup, final_fraction=0.0
        )
        for group in self.optimizer.param_groups:
            group["lr"] = group["highest_lr"] * part
        return self.head.loss(self.network, batch, self.optimization.label_smoothing)  # type: ignore[arg-type]

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient (Lightning's own clipping refuses fused optimizers)."""
        if self.optimization.clip_norm is not None:
            nn.utils.clip_grad_norm_(trainable(self.network).values(), self.optimization.clip_norm)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return AdamW, which may already hold the moments of an earlier process."""
        return self.optimizer


def parameter_groups(network: nn.Module, optimization: FinetuningOptimizationConfig) -> list[dict[str, Any]]:
    """Return AdamW's groups: the rate falls by `layer_decay` from the head down (Howard and Ruder 2018, section 3.2).

    Vectors (gains and biases) have no weight decay.
    """
    depths = depth_of_parameters(network)
    top = max(depths.values())
    groups: dict[tuple[int, bool], dict[str, Any]] = {}
    for name, parameter in trainable(network).items():
        depth, is_matrix = depths[name], parameter.ndim > 1
        if (depth, is_matrix) not in groups:
            rate = optimization.learning_rate * optimization.layer_decay ** (top - depth)  # type: ignore[operator]
            decay = optimization.weight_decay if is_matrix else 0.0
            groups[depth, is_matrix] = {"params": [], "lr": rate, "highest_lr": rate, "weight_decay": decay}
        groups[depth, is_matrix]["params"].append(parameter)
    return list(groups.values())


class Lessons:
    """The training batches of the steps from `first_step` to `num_steps`."""

    def __init__(
        self,
        head: Head,
        encoded: Sequence[Encoded],
        pad_token_id: int,
        rows: LengthGroupedBatches,
        first_step: int,
        num_steps: int,
    ) -> None:
        self.head = head
        self.encoded = encoded
        self.pad_token_id = pad_token_id
        self.rows = rows
        self.first_step = first_step
        self.num_steps = num_steps

    def __len__(self) -> int:
        return self.num_steps - self.first_step

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for step in range(self.first_step, self.num_steps):
            batch: dict[str, Any] = self.head.collate([self.encoded[row] for row in self.rows[step]], self.pad_token_id)
            yield {**batch, "step": step}


def finetune(
    config: FinetuningConfig,
    *,
    base: str | Path,
    data: Path,
    workdir: Path,
    seed: int,
    report: Report,
    from_random_weights: bool = False,
) -> dict[str, Any]:
    """Fine-tune `base` on the labelled directory `data`; return the scores and the directory of the best model.

    `config` must have no ranges left. Run again over the same `workdir` it continues, or returns the finished result.
    With `from_random_weights` the same architecture starts anew: all weights trained, all layers at one rate.
    A stopped fine-tuning (`report` returned true) has `stopped` true and no `model`.
    """
    config = _closed(config, from_random_weights)
    state = FinetuningState(
        workdir, identity_of(config.model_dump_json(), str(base), fingerprint(data), f"{seed} {from_random_weights}")
    )
    if (finished := state.result()) is not None:
        return finished

    torch.manual_seed(seed)
    labels, tokenizer = read_labels(data), open_tokenizer(base, config.context_length)
    stock = config.head.network(base, labels, from_random_weights=from_random_weights)
    _check_context_length(config.context_length, stock)
    apply_dropout(stock, config.dropout)  # type: ignore[arg-type]
    adapter: Adapter = config.adapter  # type: ignore[assignment]  # closed
    network = adapter.apply(stock)

    train, validation = (read_examples(data, split) for split in ("train", "validation"))
    encoded = [row for each in train for row in config.head.encode(each.fields, tokenizer, labels)]
    if not encoded:
        raise ValueError(f"no training example fits in {config.context_length} tokens; raise finetuning.context_length")
    rows = LengthGroupedBatches([len(each) for each in encoded], config.optimization.batch_examples, seed)
    num_steps = rows.steps_per_epoch * config.optimization.epochs  # type: ignore[operator]
    module = FineTuning(network, config.head, config.optimization, num_steps, seed)
    state.restore(network, module.optimizer)
    evaluations = Evaluations(
        state,
        Validation(config.head, validation, tokenizer, labels),
        report,
        steps=evaluation_steps(num_steps, rows.steps_per_epoch, config.optimization.evaluations_per_epoch),
        num_steps=num_steps,
        metric=str(config.tuning.metric),
        patience=config.optimization.early_stopping_patience,
    )
    first_step = state.progress.step
    if first_step < num_steps and not evaluations.exhausted:
        lessons = Lessons(config.head, encoded, tokenizer.pad_token_id, rows, first_step, num_steps)
        _fit(module.train(), lessons, evaluations)

    progress = state.progress
    result: dict[str, Any] = {
        **progress.best_values,
        "steps": progress.step,
        "epochs": progress.step / rows.steps_per_epoch,
        "best_step": progress.best_step,
        "seconds": progress.seconds,
        "stopped": evaluations.stopped,
    }
    if not evaluations.stopped:
        state.load_best(network)
        model = adapter.merge(network)
        result["model"] = str(
            save_model(workdir / "model", model, tokenizer, labels, config, result, from_random_weights)
        )
        state.finish(result)
    return result


def _closed(config: FinetuningConfig, from_random_weights: bool) -> FinetuningConfig:
    """Return the settings to train with; refuse what is still open."""
    if from_random_weights:
        config = fixed(config, {"adapter": "full", "optimization.layer_decay": 1.0})
    if still_open := search_space(config):
        raise ValueError(f"{', '.join(still_open)} are ranges; give each a number, or run a sweep over them")
    return config


def _check_context_length(context_length: int, network: PreTrainedModel) -> None:
    limit = getattr(network.config, "max_position_embeddings", None)
    padded = math.ceil(context_length / PAD_MULTIPLE) * PAD_MULTIPLE
    if limit is not None and padded > limit:
        largest = limit // PAD_MULTIPLE * PAD_MULTIPLE
        raise ValueError(f"context_length {context_length} exceeds the model's {limit} positions; set it to {largest}")


def _fit(module: FineTuning, lessons: Lessons, evaluations: Evaluations) -> None:
    """Run the steps and nothing else: state, scores and the clock are the evaluations' work."""
    compute, state = ComputeConfig(), evaluations.state
    state.precision = resolve_precision(compute, state.precision)
    trainer = build_trainer(compute, state.precision, [evaluations])
    on_cpu = trainer.strategy.root_device.type == "cpu"
    # on a CPU, flash attention's backward pass is the slower one for short texts: +35 % a step at 44 tokens
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext():
        # Lightning 2.6.6 uses a class that torch 2.13 is about to drop
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
        fit(trainer, module, lessons)
