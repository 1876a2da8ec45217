"""Tokens a second of pretraining, side by side: Rootstock, a bare loop over its model, the HF Trainer, and LitGPT.

    python benchmarks/pretraining_speed.py [--sizes 1M 15M] [--starts 3] [--turns 10] [--threads 2] [--only rootstock]
                                           [--check]

All train decoders of the same shape, vocabulary, context and batch, with AdamW, on the same random tokens. Every
contestant lives in a process of its own, and they train in turns of a few steps, each while the others wait: whatever
slows the machine for a while slows all. The first steps of each (which compile) are left out. All begin several times,
because where a process happens to lie in memory makes it some per cent faster or slower for all of its life. Printed
are medians of the turns, and Rootstock's ratio to each, the median over the rounds of turns, not compiled and compiled;
compiled is what `compute.compile: auto` chooses for a budget of 20 tokens a parameter at these sizes. At the end stand
the aims; `--check` makes a missed one an exit code of 1. The model and optimizer are the peers' own: a stock Llama for
the Trainer, LitGPT's Llama for LitGPT (which is left out where it is not installed; it asks for older packages than
Rootstock, so install it beside them: `pip install --no-deps litgpt==0.5.13 jsonargparse typeshed-client`).
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aims import Aim, add_check, tell
from turns import announce_steps_of_the_engine, train_in_turns

from configs.compute import ComputeConfig

logger = logging.getLogger("pretraining_speed")

LEFT_OUT_STEPS = 4

Step = Callable[[], None]
"""What a contestant calls when a step begins."""
Part = Callable[[str], AbstractContextManager[None]]
"""What times a part of a step by its name."""


@dataclass(frozen=True)
class Shape:
    """What is trained, and the steps of a turn."""

    width: int
    depth: int
    head_width: int
    feed_forward_width: int
    context: int
    rows: int
    vocabulary: int
    steps_of_a_turn: int


SHAPES = {
    "1M": Shape(128, 4, 32, 384, 128, 16, 512, 10),
    "15M": Shape(384, 8, 64, 1024, 256, 16, 4096, 2),
}


def random_rows(shape: Shape, steps: int) -> Any:
    """Return [steps * rows, context + 1] tokens."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return torch.randint(8, shape.vocabulary, (steps * shape.rows, shape.context + 1), generator=generator)


def our_config(shape: Shape, steps: int, compiled: bool, precision: str = "auto") -> Any:
    from configs.pretraining import PretrainingConfig

    return PretrainingConfig.model_validate(
        {
            "model": {
                "width": shape.width,
                "depth": shape.depth,
                "head_width": shape.head_width,
                "feed_forward_width": shape.feed_forward_width,
                "context_length": shape.context,
            },
            "optimization": {
                "batch_tokens": shape.rows * shape.context,
                "budget_steps": steps,
                "clip_norm": 10.0,
            },
            "compute": {
                "compile": compiled,
                "precision": precision,
                "accelerator": "cpu",
            },
            "validation_every_steps": None,
            "validation_tokens": shape.context,
        }
    )


def rootstock(shape: Shape, steps: int, compiled: bool, step_begins: Step) -> float:
    """The whole engine: batches from disk, Lightning, checks, reports, and checkpoints as often as by default.

    A checkpoint falls into few turns, and medians leave it out: returned are its seconds, to be told on their own.
    """
    from tokenizers import Tokenizer, models

    from lm_modules.data.packed import write_packed
    from lm_modules.training import checkpoints
    from lm_modules.training.pretraining import pretrain

    save, saving = checkpoints.save, []

    def timed_save(*arguments: Any) -> Path:
        started = time.perf_counter()
        path = save(*arguments)
        saving.append(time.perf_counter() - started)
        return path

    checkpoints.save = timed_save
    announce_steps_of_the_engine(step_begins)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "tokenizer").mkdir()
        words = {f"word{number}": number for number in range(shape.vocabulary)}
        Tokenizer(models.WordLevel(words, unk_token="word0")).save(str(place / "tokenizer" / "tokenizer.json"))
        for split, size in (("train", steps), ("validation", 1)):
            documents = ((row[:-1].numpy(), shape.context) for row in random_rows(shape, size + 1))
            write_packed(place / "tokens", split, documents, vocab_size=shape.vocabulary, end_of_text_id=0)
        pretrain(
            our_config(shape, steps, compiled),
            tokens=place / "tokens",
            tokenizer=place / "tokenizer",
            workdir=place / "work",
            seed=0,
        )
    return statistics.median(saving)


def bare(shape: Shape, steps: int, compiled: bool, step_begins: Step, part: Part = nullcontext) -> None:
    """The same network, loss, clipping and optimizer in the shortest loop that trains it.

    Clipping measures the gradient and finds nothing to shorten, as in the engine.
    """
    import torch

    from lm_modules.data.vocabulary import Vocabulary
    from lm_modules.model.scaled import initialize
    from lm_modules.training.optimizers import build_optimizers, clip_gradient
    from lm_modules.training.trainer import resolve_precision

    config = our_config(shape, steps, compiled)
    network: Any = config.objective.network(config.model, Vocabulary(shape.vocabulary, 0), shape.rows * shape.context)
    initialize(network, torch.Generator().manual_seed(0))
    if compiled:
        network.compile_layers()
    (optimizer,), weights = build_optimizers(network, config.optimization), list(network.parameters())
    factor = config.model.parametrization.scaling(shape.vocabulary, shape.rows * shape.context).loss_gradient
    rows, bf16 = random_rows(shape, steps), resolve_precision(config.compute) == "bf16"
    for step in range(steps):
        step_begins()
        batch = rows[step * shape.rows : (step + 1) * shape.rows]
        with part("passes"):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = network.nats(batch[:, :-1], batch[:, 1:])
            (loss * factor).backward()
        norm = torch.nn.utils.get_total_norm([each.grad for each in weights])
        with part("optimizer"):
            clip_gradient(weights, norm.item(), 1e9)
            optimizer.step()
            optimizer.zero_grad()
        loss.item()


def trainer(shape: Shape, steps: int, compiled: bool, step_begins: Step) -> None:
    """The HF Trainer as it comes, or in bfloat16 and compiled."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, Trainer, TrainerCallback, TrainingArguments

    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward_width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.width // shape.head_width,
        head_dim=shape.head_width,
        max_position_embeddings=shape.context,
        use_cache=False,
    )
    data = [{"input_ids": row[:-1], "labels": row[:-1]} for row in random_rows(shape, steps)]

    class Announcing(TrainerCallback):
        def on_step_begin(self, *arguments: Any, **named: Any) -> None:
            step_begins()

    best = {"bf16": True, "torch_compile": True} if compiled else {}
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=shape.rows,
            max_steps=steps,
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            **best,
        )
        torch.manual_seed(0)
        Trainer(model=LlamaForCausalLM(config), args=arguments, train_dataset=data, callbacks=[Announcing()]).train()


class AnnouncedRows:
    """A data set that announces a step when the first row of its batch is asked for."""

    def __init__(self, rows: Any, shape: Shape, steps: int, step_begins: Step) -> None:
        self.rows, self.shape, self.steps, self.step_begins = rows, shape, steps, step_begins

    def __len__(self) -> int:
        return self.steps * self.shape.rows

    def __getitem__(self, index: int) -> Any:
        if index % self.shape.rows == 0:
            self.step_begins()
        return self.rows[index]


def litgpt(shape: Shape, steps: int, compiled: bool, step_begins: Step) -> None:
    """LitGPT's pretraining as it comes (micro-batches of 4, bfloat16, compiled), or with whole batches."""
    from litgpt import Config
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.data import DataModule
    from litgpt.pretrain import setup
    from torch.utils.data import DataLoader

    sys.argv = ["litgpt", "same-shape"]  # it reads the command line again when it saves its settings
    rows = random_rows(shape, steps + 1)
    micro = shape.rows if compiled else 4

    class Data(DataModule):
        def connect(self, *arguments: Any, **named: Any) -> None:
            """Rows are there already."""

        def train_dataloader(self) -> Any:
            return DataLoader(AnnouncedRows(rows, shape, steps, step_begins), batch_size=micro)

        def val_dataloader(self) -> Any:
            return DataLoader(rows[-shape.rows :], batch_size=micro)

    config = Config(
        name="same-shape",
        block_size=shape.context,
        vocab_size=shape.vocabulary,
        padded_vocab_size=shape.vocabulary,
        n_layer=shape.depth,
        n_head=shape.width // shape.head_width,
        n_embd=shape.width,
        head_size=shape.head_width,
        rotary_percentage=1.0,
        parallel_residual=False,
        bias=False,
        norm_class_name="RMSNorm",
        mlp_class_name="LLaMAMLP",
        intermediate_size=shape.feed_forward_width,
    )
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(open(os.devnull, "w")):
        setup(
            "same-shape",
            model_config=config,
            out_dir=Path(folder),
            data=Data(),
            train=TrainArgs(
                save_interval=None,
                global_batch_size=shape.rows,
                micro_batch_size=micro,
                lr_warmup_steps=2,
                max_tokens=steps * shape.rows * shape.context,
                max_norm=1.0,
            ),
            eval=EvalArgs(interval=10**9, max_iters=1, initial_validation=False, final_validation=False),
            devices=1,
            logger_name="csv",
            optimizer={"class_path": "torch.optim.AdamW", "init_args": {"lr": 1e-3}},
        )


CONTESTANTS: dict[str, tuple[Callable[[Shape, int, bool, Step], float | None], bool]] = {
    "rootstock": (rootstock, False),
    "bare": (bare, False),
    "trainer": (trainer, False),
    "litgpt": (litgpt, False),
    "rootstock, compiled": (rootstock, True),
    "bare, compiled": (bare, True),
    "trainer, bf16, compiled": (trainer, True),
    "litgpt, whole batches": (litgpt, True),
}


AIMS = {
    ("rootstock", "bare"): 0.97,
    ("rootstock, compiled", "bare, compiled"): 0.97,
    ("rootstock, compiled", "trainer"): 1.5,
    ("rootstock, compiled", "trainer, bf16, compiled"): 1.1,
    ("rootstock, compiled", "litgpt"): 1.3,
    ("rootstock, compiled", "litgpt, whole batches"): 1.1,
}
"""How many times as fast as another a contestant is to be, at either size."""


def contest(name: str, shape: Shape, steps: int, step_begins: Step) -> float:
    """Train for so many steps and one more, which ends the last turn before whatever comes at the end of the work."""
    run, compiled = CONTESTANTS[name]
    return run(shape, steps + 1, compiled, step_begins) or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--turns", type=int, default=10, help="of each contestant after each start")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="names of contestants, or how they begin")
    add_check(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    names = [each for each in CONTESTANTS if not arguments.only or each.startswith(tuple(arguments.only))]
    if importlib.util.find_spec("litgpt") is None:
        names = [each for each in names if not each.startswith("litgpt")]
        logger.info(
            "LitGPT is not installed and left out: pip install --no-deps litgpt==0.5.13 jsonargparse typeshed-client"
        )
    found: list[Aim] = []
    for size in arguments.sizes:
        shape = SHAPES[size]
        tokens = shape.steps_of_a_turn * shape.rows * shape.context
        steps = LEFT_OUT_STEPS + arguments.turns * shape.steps_of_a_turn
        works = {name: (contest, (name, shape, steps)) for name in names}
        seconds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(arguments.starts):
            records = train_in_turns(
                works, steps=shape.steps_of_a_turn, left_out=LEFT_OUT_STEPS, threads=arguments.threads
            )
            for name, record in records.items():
                seconds[name] += record.seconds[: arguments.turns]
        turns = arguments.starts * arguments.turns
        logger.info("\n%s parameters, %d threads, tokens/s, median of %d turns", size, arguments.threads, turns)
        logger.info(
            "%-30s %9s  %-20s  %s",
            "",
            "tokens/s",
            "least to most",
            "rootstock's ratio to it, not compiled and compiled",
        )
        for name in names:
            speeds = [tokens / each for each in seconds[name]]
            spread = f"({min(speeds):,.0f} to {max(speeds):,.0f})"
            ratios = (f"{ratio(seconds, own, name):.2f}" for own in names if own.startswith("rootstock"))
            logger.info("%-30s %9s  %-20s  %s", name, f"{statistics.median(speeds):,.0f}", spread, "  ".join(ratios))
        for name in names:
            if saving := records[name].result:
                steps = ComputeConfig().checkpoint_every_steps
                part = saving / (steps * statistics.median(seconds[name]) / shape.steps_of_a_turn)
                logger.info(
                    "%s: a checkpoint, every %d steps, takes %.2f s, %.1f %% more", name, steps, saving, 100 * part
                )
        found += aims(size, seconds)
    tell(found, check=arguments.check)


def ratio(seconds: dict[str, list[float]], own: str, name: str) -> float:
    """Return how many times as fast `own` is, the median over the rounds."""
    return statistics.median(theirs / ours for theirs, ours in zip(seconds[name], seconds[own], strict=True))


def aims(size: str, seconds: dict[str, list[float]]) -> list[Aim]:
    """Return the aims of the contestants that ran."""
    return [
        Aim(f"{size}, {own} to {name}", ratio(seconds, own, name), bound)
        for (own, name), bound in AIMS.items()
        if own in seconds and name in seconds
    ]


if __name__ == "__main__":
    main()
