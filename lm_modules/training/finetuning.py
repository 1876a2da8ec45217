"""Teaching a pretrained model a task from labelled examples.

The batch and the dropout of optimizer step t depend on the data, the seed and t alone, and the state is written at
every evaluation: a fine-tuning that was killed goes on and ends with the same weights to the bit. Where several ranks
train together, dropout depends on the rank as well; the first of them evaluates, reports and writes for all.
"""

from __future__ import annotations

import logging
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel

from configs.compute import DeviceConfig
from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space
from lm_modules.adapters import Adapter
from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import fingerprint, read_examples, read_labels
from lm_modules.data.length_grouping import POOL_BATCHES, LengthGroupedBatches
from lm_modules.heads import PAD_MULTIPLE
from lm_modules.model.stock import open_tokenizer
from lm_modules.training.callbacks.ending_together import EndingTogether
from lm_modules.training.dropout import apply_dropout
from lm_modules.training.finetuned_model import save_model
from lm_modules.training.finetuning_evaluations import Evaluations, Validation, evaluation_steps
from lm_modules.training.finetuning_module import FineTuning, Lessons
from lm_modules.training.finetuning_state import FinetuningState, identity_of, trainable
from lm_modules.training.ranks import Ranks, train_together
from lm_modules.training.reporting import Report, keep_going
from lm_modules.training.trainer import build_trainer, fit, resolve_precision, threads_of_a_rank, training_device

logger = logging.getLogger(__name__)

PREVIEW = "preview.html"
"""What is learned from some of the examples, in the working directory, for heads that show it."""


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
    settings = config.model_dump_json(exclude={"compute"})  # a fine-tuning may go on with another
    state = FinetuningState(
        workdir, identity_of(settings, str(base), fingerprint(data), f"{seed} {from_random_weights}")
    )
    if (finished := state.result()) is not None:
        return finished
    work = partial(_on_this_rank, config, base, data, seed, from_random_weights, state)
    with train_together(config.compute, partial(work, keep_going)) as ranks:
        return work(report, ranks)


def _on_this_rank(
    config: FinetuningConfig,
    base: str | Path,
    data: Path,
    seed: int,
    from_random_weights: bool,
    state: FinetuningState,
    report: Report,
    ranks: Ranks,
) -> dict[str, Any]:
    """Do what `finetune` does; what comes before the steps, each rank finds for itself, and alike."""
    workdir = state.workdir
    if threads := threads_of_a_rank(config.compute):
        torch.set_num_threads(threads)
    config.head.require_fitting(base)
    train, validation = (read_examples(data, split) for split in ("train", "validation"))
    config = config.model_copy(update={"head": config.head.fitted([each.fields for each in train])})
    torch.manual_seed(seed)
    labels = read_labels(data)
    tokenizer = config.head.prepare_tokenizer(open_tokenizer(base, config.context_length))
    stock = config.head.network(base, labels, from_random_weights=from_random_weights)
    _check_context_length(config.context_length, stock)
    apply_dropout(stock, config.dropout)  # type: ignore[arg-type]
    adapter: Adapter = config.adapter  # type: ignore[assignment]  # closed
    num_parameters = stock.num_parameters()
    network = adapter.apply(stock).to(training_device(config.compute))
    num_trained = sum(each.numel() for each in trainable(network).values())
    logger.info("adapter %s: %d parameters are trained; the model has %d", adapter.kind, num_trained, num_parameters)

    weights = class_weights(config, train)
    judged = Validation(config.head, validation, tokenizer, labels, config.optimization.validation_answers)
    by_example = [config.head.encode(each.fields, tokenizer, labels) for each in train]
    # before the state is restored: what a head asks is what the base says
    by_example, judged.encoded = (
        config.head.prepare(network, each, tokenizer.pad_token_id) for each in (by_example, judged.encoded)
    )
    encoded = [
        row if weights is None else replace(row, weight=weights[config.head.classes(each.fields)[0]])
        for each, rows_of_it in zip(train, by_example, strict=True)
        for row in rows_of_it
    ]
    if not encoded:
        raise ValueError(f"no training example fits in {config.context_length} tokens; raise finetuning.context_length")
    if num_cut := sum(each.is_cut for each in encoded):
        logger.warning(
            "%d of %d training examples are cut: they are longer than finetuning.context_length, or their answers than "
            "finetuning.head.max_new_tokens",
            *(num_cut, len(encoded)),
        )
    if ranks.leads and (page := config.head.preview(by_example, tokenizer)) is not None:
        (workdir / PREVIEW).write_text(page, encoding="utf-8")
    rows = LengthGroupedBatches(
        [len(each) for each in encoded],
        config.optimization.batch_examples,  # type: ignore[arg-type]  # closed
        seed,
        pool_batches=1 if config.head.packs() else POOL_BATCHES,
    )
    num_steps = rows.steps_per_epoch * config.optimization.epochs  # type: ignore[operator]
    module = FineTuning(network, config.head, config.optimization, num_steps, seed, tokenizer.pad_token_id, ranks)
    state.restore(network, module.optimizer, ranks)
    module.micro_batch_examples = state.progress.micro_batch_examples or module.micro_batch_examples
    evaluations = Evaluations(
        state,
        judged,
        report,
        steps=evaluation_steps(num_steps, rows.steps_per_epoch, config.optimization.evaluations_per_epoch),
        num_steps=num_steps,
        metric=str(config.tuning.metric),
        patience=config.optimization.early_stopping_patience,
        num_devices=ranks.count_here,
    )
    first_step = state.progress.step
    if first_step < num_steps and not evaluations.exhausted:
        _fit(module.train(), Lessons(encoded, rows, first_step, num_steps), evaluations, config.compute)
    if not ranks.leads:
        return ranks.told({})  # when the first has summed up

    progress = state.progress
    result: dict[str, Any] = {
        **progress.best_values,
        "steps": progress.step,
        "epochs": progress.step / rows.steps_per_epoch,
        "best_step": progress.best_step,
        "seconds": progress.seconds,
        "device_seconds": progress.seconds * ranks.count,
        "energy_kilowatt_hours": progress.kilowatt_hours,
        "trained_parameters": num_trained,
        "parameters": num_parameters,
        **({"validation_answers": len(judged.answered)} if config.head.writes else {}),
        "stopped": evaluations.stopped,
    }
    if not evaluations.stopped:
        state.load_best(network)
        config.head.make_independent(network)
        adapter.keep(network, workdir / "model" / "adapter")
        model = adapter.merge(network)
        result["model"] = str(
            save_model(workdir / "model", model, tokenizer, labels, config, result, from_random_weights)
        )
        state.finish(result)
    return ranks.told(result)


def class_weights(config: FinetuningConfig, train: Sequence[Example]) -> dict[str, float] | None:
    """Return what the loss of each label counts, 1 on average over the examples; None where all count alike.

    Balanced, all labels count the same together: n / (k n_label), as scikit-learn has it.
    """
    if config.optimization.class_weights == "equal":
        return None
    counts = Counter(config.head.classes(each.fields)[0] for each in train)
    return {label: len(train) / (len(counts) * count) for label, count in counts.items()}


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


def _fit(module: FineTuning, lessons: Lessons, evaluations: Evaluations, compute: DeviceConfig) -> None:
    """Run the steps and nothing else: state, scores and the clock are the evaluations' work, on the first rank."""
    ranks, state = module.ranks, evaluations.state
    # what is timed might come out differently on each
    precision = ranks.told(resolve_precision(compute, state.precision) if ranks.leads else "")
    state.precision = precision
    callbacks: list[Callback] = [EndingTogether(ranks, evaluations.steps)]
    if ranks.leads:
        callbacks.insert(0, evaluations)
    trainer = build_trainer(compute, precision, callbacks, ranks)
    on_cpu = trainer.strategy.root_device.type == "cpu"
    # on a CPU, flash attention's backward pass is the slower one for short texts: +35 % a step at 44 tokens
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext():
        # Lightning 2.6.6 uses a class that torch 2.13 is about to drop
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
        fit(trainer, module, lessons)
