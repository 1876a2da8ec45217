"""Teaching a pretrained model a task from labelled examples.

The batch and the dropout of optimizer step t depend on the data, the seed and t alone, and the state holds the rest: a
fine-tuning that was killed goes on from the last state written and ends with the same weights to the bit. Where several
ranks train together, dropout depends on the rank as well; the first of them evaluates, reports and writes for all.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.nn.attention import SDPBackend, sdpa_kernel

from configs.compute import FinetuningComputeConfig
from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space
from lm_modules.adapters import Adapter
from lm_modules.data.labelled_examples import BESIDE, fingerprint
from lm_modules.model.stock import open_tokenizer
from lm_modules.training import checkpoints
from lm_modules.training.callbacks.stopping import Interrupted, Stopping
from lm_modules.training.finetuned_model import save_model
from lm_modules.training.finetuning_evaluations import Evaluations, evaluation_steps
from lm_modules.training.finetuning_module import FineTuning, Lessons
from lm_modules.training.finetuning_saving import Saving
from lm_modules.training.finetuning_state import FinetuningState, identity_of, trainable
from lm_modules.training.ranks import Ranks, train_together
from lm_modules.training.reporting import Report, keep_going
from lm_modules.training.shared_backbone import SharedBackbone
from lm_modules.training.subjects import Subject
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
    Each set in `data/beside` is learned beside, and its model is in `beside/<name>` of that directory.
    A stop ends it in order after the step: where `report` returned true, the result has `stopped` true and no `model`;
    SIGTERM and SIGINT raise Interrupted.
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
    main = Subject(config, data, base)
    besides = [
        Subject(config.of_beside(name), data / BESIDE / name, base, name, each.weight)  # type: ignore[arg-type]
        for name, each in config.beside.items()
    ]
    torch.manual_seed(seed)
    tokenizer = open_tokenizer(base, config.context_length)
    for each in (main, *besides):
        tokenizer = each.head.prepare_tokenizer(tokenizer)
    stock = main.open(base, from_random_weights=from_random_weights)
    backbone = SharedBackbone(stock)
    for each in besides:
        backbone.add(str(each.name), each.open(base, from_random_weights=from_random_weights))
    adapter: Adapter = config.adapter  # type: ignore[assignment]  # closed
    num_parameters = backbone.num_parameters()
    main.network = adapter.apply(stock)
    backbone.share(stock)
    network = backbone.around(main.network).to(training_device(config.compute))
    num_trained = sum(each.numel() for each in trainable(network).values())
    logger.info("adapter %s: %d parameters are trained; the model has %d", adapter.kind, num_trained, num_parameters)

    if (page := main.read(tokenizer, seed)) is not None and ranks.leads:
        (workdir / PREVIEW).write_text(page, encoding="utf-8")
    for each in besides:
        each.read(tokenizer, seed)
    steps_per_epoch = main.batches.steps_per_epoch
    num_steps = steps_per_epoch * config.optimization.epochs  # type: ignore[operator]
    module = FineTuning(
        main.network, main.head, config.optimization, num_steps, seed, tokenizer.pad_token_id, network, besides, ranks
    )
    state.restore(network, module.optimizer, ranks)
    module.micro_batch_examples = state.progress.micro_batch_examples or module.micro_batch_examples
    evaluations = Evaluations(
        state,
        main.validation,
        report,
        steps=evaluation_steps(num_steps, steps_per_epoch, config.optimization.evaluations_per_epoch),
        num_steps=num_steps,
        metric=str(config.tuning.metric),
        patience=config.optimization.early_stopping_patience,
        num_devices=ranks.count_here,
    )
    first_step = state.progress.step
    if first_step < num_steps and not evaluations.exhausted:
        lessons = Lessons(main.encoded, main.batches, first_step, num_steps, besides)
        if _fit(module.train(), lessons, evaluations, config.compute):
            step = ranks.told(state.progress.step)  # the first counts it
            raise Interrupted(step, num_steps, workdir / "checkpoints" / checkpoints.step_name(step))
    if not ranks.leads:
        return ranks.told({})  # when the first has summed up

    progress = state.progress
    if evaluations.exhausted and progress.step < num_steps:
        logger.info(
            "ended early after step %d of %d: %d evaluations in a row brought nothing better",
            *(progress.step, num_steps, evaluations.patience),
        )
    result: dict[str, Any] = {
        **progress.best_values,
        "steps": progress.step,
        "epochs": progress.step / steps_per_epoch,
        "best_step": progress.best_step,
        "seconds": progress.seconds,
        "energy_kilowatt_hours": progress.kilowatt_hours,
        "trained_parameters": num_trained,
        "parameters": num_parameters,
        **{name: number for each in (main, *besides) for name, number in each.lost().items()},
        **({"validation_answers": len(main.validation.answered)} if config.head.writes else {}),
        "stopped": evaluations.stopped,
    }
    if not evaluations.stopped:
        state.load_best(network)
        for each in (main, *besides):
            each.head.make_independent(each.network)
        adapter.keep(main.network, workdir / "model" / "adapter")
        model = adapter.merge(main.network)
        backbone.share(model)
        directory = workdir / "model"
        result["model"] = str(save_model(directory, model, tokenizer, main.labels, config, result, from_random_weights))
        for each in besides:
            place, own = directory / BESIDE / str(each.name), each.own(result)
            save_model(place, each.network, tokenizer, each.labels, each.config, own, from_random_weights)
        state.finish(result)
    return ranks.told(result)


def _closed(config: FinetuningConfig, from_random_weights: bool) -> FinetuningConfig:
    """Return the settings to train with; refuse what is still open."""
    if from_random_weights:
        config = fixed(config, {"adapter": "full", "optimization.layer_decay": 1.0})
    if still_open := search_space(config):
        raise ValueError(f"{', '.join(still_open)} are ranges; give each a number, or run a sweep over them")
    return config


def _fit(module: FineTuning, lessons: Lessons, evaluations: Evaluations, compute: FinetuningComputeConfig) -> bool:
    """Run the steps, and return whether a signal to one of the ranks ended them.

    State, scores and the clock are the work of callbacks on the first rank.
    """
    ranks, state = module.ranks, evaluations.state
    # what is timed might come out differently on each
    precision = ranks.told(resolve_precision(compute, state.precision) if ranks.leads else "")
    state.precision = precision
    stopping = Stopping(ranks)
    callbacks: list[Callback] = [stopping]
    if ranks.leads:
        callbacks = [evaluations, stopping, Saving(evaluations, compute.checkpoint_every_minutes)]
    trainer = build_trainer(compute, precision, callbacks, ranks)
    on_cpu = trainer.strategy.root_device.type == "cpu"
    # on a CPU, flash attention's backward pass is the slower one for short texts: +35 % a step at 44 tokens
    with warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH) if on_cpu else nullcontext():
        # Lightning 2.6.6 uses a class that torch 2.13 is about to drop
        warnings.filterwarnings("ignore", message=r"`isinstance\(treespec, LeafSpec\)`", category=FutureWarning)
        try:
            fit(trainer, module, lessons)
        finally:
            stopping.restore()
    return ranks.any(stopping.wanted)
