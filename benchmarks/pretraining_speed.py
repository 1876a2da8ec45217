"""Tokens a second of pretraining, side by side: Rootstock, a bare loop over its model, the HF Trainer, and LitGPT.

    python benchmarks/pretraining_speed.py [--sizes 1M 15M] [--repeats 3] [--threads 2] [--only rootstock bare]

All train decoders of the same shape, vocabulary, context and batch, with AdamW, on the same random tokens. Every
contestant runs in a process of its own, one after another, in as many rounds as there are repeats; the first steps of
each (which compile) are left out. Printed are medians, and Rootstock's ratio to each. The model and optimizer are the
peers' own: a stock Llama for the Trainer, LitGPT's Llama for LitGPT (which is left out where it is not installed; it
asks for older packages than Rootstock, so install it beside them: `pip install --no-deps litgpt jsonargparse`).
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

logger = logging.getLogger("pretraining_speed")

LEFT_OUT_STEPS = 4


@dataclass(frozen=True)
class Shape:
    """What is trained, and how many steps are timed."""

    width: int
    depth: int
    head_width: int
    feed_forward_width: int
    context: int
    rows: int
    vocabulary: int
    steps: int


SHAPES = {
    "1M": Shape(128, 4, 32, 384, 128, 16, 512, 60),
    "15M": Shape(384, 8, 64, 1024, 256, 16, 4096, 12),
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
                "checkpoint_every_steps": 50,
            },
            "validation_every_steps": None,
            "validation_tokens": shape.context,
        }
    )


def rootstock(shape: Shape, steps: int, compiled: bool) -> list[float]:
    """The whole engine: batches from disk, Lightning, checks, reports, and a checkpoint every 50 steps."""
    from tokenizers import Tokenizer, models

    from lm_modules.data.packed import write_packed
    from lm_modules.training.pretraining_module import PretrainingModule

    stamps = [time.perf_counter()]
    whole_step = PretrainingModule.training_step

    def stamped(self: Any, *arguments: Any) -> Any:
        stamps.append(time.perf_counter())
        return whole_step(self, *arguments)

    PretrainingModule.training_step = stamped  # type: ignore[method-assign]
    from lm_modules.training.pretraining import pretrain

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
    return stamps[1:]


def bare(shape: Shape, steps: int, compiled: bool) -> list[float]:
    """The same network, loss, clipping and optimizer in the shortest loop that trains it."""
    import torch

    from lm_modules.data.vocabulary import Vocabulary
    from lm_modules.model.scaled import initialize
    from lm_modules.training.optimizers import build_optimizers
    from lm_modules.training.trainer import resolve_precision

    config = our_config(shape, steps, compiled)
    network: Any = config.objective.network(config.model, Vocabulary(shape.vocabulary, 0), shape.rows * shape.context)
    initialize(network, torch.Generator().manual_seed(0))
    if compiled:
        network.compile_layers()
    (optimizer,) = build_optimizers(network, config.optimization)
    factor = config.model.parametrization.scaling(shape.vocabulary, shape.rows * shape.context).loss_gradient
    rows, bf16 = random_rows(shape, steps), resolve_precision(config.compute) == "bf16"
    stamps = []
    for step in range(steps):
        stamps.append(time.perf_counter())
        batch = rows[step * shape.rows : (step + 1) * shape.rows]
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = network.nats(batch[:, :-1], batch[:, 1:])
        (loss * factor).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1e9)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
    return stamps


def trainer(shape: Shape, steps: int, compiled: bool) -> list[float]:
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
    stamps: list[float] = []

    class Stamping(TrainerCallback):
        def on_step_begin(self, *arguments: Any, **named: Any) -> None:
            stamps.append(time.perf_counter())

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
        Trainer(model=LlamaForCausalLM(config), args=arguments, train_dataset=data, callbacks=[Stamping()]).train()
    return stamps


class StampedRows:
    """A data set that notes when the first row of each batch is asked for."""

    def __init__(self, rows: Any, shape: Shape, steps: int, stamps: list[float]) -> None:
        self.rows, self.shape, self.steps, self.stamps = rows, shape, steps, stamps

    def __len__(self) -> int:
        return self.steps * self.shape.rows

    def __getitem__(self, index: int) -> Any:
        if index % self.shape.rows == 0:
            self.stamps.append(time.perf_counter())
        return self.rows[index]


def litgpt(shape: Shape, steps: int, compiled: bool) -> list[float]:
    """LitGPT's pretraining as it comes (micro-batches of 4, float32, compiled), or in bfloat16 with whole batches."""
    from litgpt import Config
    from litgpt.args import EvalArgs, TrainArgs
    from litgpt.data import DataModule
    from litgpt.pretrain import setup
    from torch.utils.data import DataLoader

    sys.argv = ["litgpt", "same-shape"]  # it reads the command line again when it saves its settings
    stamps: list[float] = []
    rows = random_rows(shape, steps + 1)
    micro = shape.rows if compiled else 4

    class Data(DataModule):
        def connect(self, *arguments: Any, **named: Any) -> None:
            """Rows are there already."""

        def train_dataloader(self) -> Any:
            return DataLoader(StampedRows(rows, shape, steps, stamps), batch_size=micro)

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
            precision="bf16-mixed" if compiled else None,
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
    return stamps


CONTESTANTS: dict[str, tuple[Callable[[Shape, int, bool], list[float]], bool]] = {
    "rootstock": (rootstock, False),
    "bare": (bare, False),
    "trainer": (trainer, False),
    "litgpt": (litgpt, False),
    "rootstock, compiled": (rootstock, True),
    "bare, compiled": (bare, True),
    "trainer, bf16, compiled": (trainer, True),
    "litgpt, bf16, whole batches": (litgpt, True),
}


def timed(name: str, shape: Shape, threads: int, answer: Any) -> None:
    """Run in a process of its own; sends tokens a second."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    import torch

    torch.set_num_threads(threads)
    run, best = CONTESTANTS[name]
    steps = shape.steps + LEFT_OUT_STEPS + 1
    stamps = run(shape, steps, best)[LEFT_OUT_STEPS : LEFT_OUT_STEPS + shape.steps + 1]
    answer.send((len(stamps) - 1) * shape.rows * shape.context / (stamps[-1] - stamps[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="names of contestants, or how they begin")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    names = [each for each in CONTESTANTS if not arguments.only or each.startswith(tuple(arguments.only))]
    if importlib.util.find_spec("litgpt") is None:
        names = [each for each in names if not each.startswith("litgpt")]
    spawn = multiprocessing.get_context("spawn")
    for size in arguments.sizes:
        speeds: dict[str, list[float]] = {name: [] for name in names}
        for _ in range(arguments.repeats):
            for name in names:
                ours, theirs = spawn.Pipe(duplex=False)
                child = spawn.Process(target=timed, args=(name, SHAPES[size], arguments.threads, theirs))
                child.start()
                theirs.close()
                speeds[name].append(ours.recv())
                child.join()
                logger.info("%-4s %-28s %9.0f", size, name, speeds[name][-1])
        logger.info("\n%s parameters, %d threads, tokens/s (median of %d)", size, arguments.threads, arguments.repeats)
        medians = {name: statistics.median(each) for name, each in speeds.items()}
        for name, speed in medians.items():
            own = "rootstock, compiled" if CONTESTANTS[name][1] else "rootstock"
            ratio = f"rootstock is {medians[own] / speed:.2f} times as fast" if own in medians and own != name else ""
            spread = f"{min(speeds[name]):,.0f} to {max(speeds[name]):,.0f}"
            logger.info("  %-28s %9s  (%s)  %s", name, f"{speed:,.0f}", spread, ratio)


if __name__ == "__main__":
    main()
