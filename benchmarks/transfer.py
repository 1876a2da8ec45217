"""Does the best learning rate stay where it is when the model is widened? A grid of learning rates over widths.

    python benchmarks/transfer.py [--widths 64 128 256] [--steps 220] [--output benchmarks/results/...md] [--check]

Two layers with heads of 16 learn the bytes of the standard library's documentation, 16 rows of 64 a step, for 220 steps
of AdamW: 25 of warm-up, then a straight fall to nothing, no weight decay. Every cell is one whole call of `pretrain`,
the engine that `rootstock pretrain` runs, on one thread in float32. The grids are a factor of 2 apart and reach beyond
the best rate on both sides; a best rate at the end of its grid is marked, since it may lie further out.

With u-muP the best rates of all widths are to lie within one step of the grid; with the standard parametrization the
best rate falls as the model widens, by more than that. `--check` makes it an exit code of 1 if they do not.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from pathlib import Path

import torch
from aims import Aim, add_check, tell

from configs.data_preparation import DataPreparationConfig
from configs.pretraining import PretrainingConfig
from configs.tokenization import TokenizationConfig
from lm_modules.data.packed import pack
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer
from lm_modules.training.pretraining import pretrain
from lm_modules.training.pretraining_module import Diverged

logger = logging.getLogger("transfer")

GRIDS = {"u_mup": range(-2, 3), "standard": range(-11, -5)}
"""Powers of two."""
CONTEXT, ROWS, WARMUP = 64, 16, 25
Losses = dict[int, dict[int, float]]
"""Nats a byte on held-out text: width -> power of two of the learning rate -> loss."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--steps", type=int, default=220)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hardware", default="")
    add_check(parser)
    parser.add_argument("--output", type=Path, help="a Markdown file to write as well")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("lm_modules").setLevel(logging.WARNING)
    torch.set_num_threads(1)
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as scratch:
        tokens, tokenizer = text(Path(scratch))
        grids = {
            kind: {
                width: {power: loss(kind, width, power, arguments, tokens, tokenizer) for power in powers}
                for width in arguments.widths
            }
            for kind, powers in GRIDS.items()
        }
    minutes = (time.perf_counter() - started) / 60
    lines = [line for kind, losses in grids.items() for line in [*table(kind, losses), "", verdict(kind, losses), ""]]
    lines.append(f"{arguments.steps} steps, seed {arguments.seed}, {minutes:.0f} minutes, one thread.")
    print("\n".join(lines))
    if arguments.output:
        title = f"# Learning rates over widths, {arguments.hardware or 'hardware not named'}"
        arguments.output.parent.mkdir(exist_ok=True)
        what = "`python benchmarks/transfer.py`: nats a byte on held-out text, the best of each column bold."
        arguments.output.write_text("\n".join([title, "", what, "", *lines]) + "\n")
    tell(aims(grids), check=arguments.check)


def text(directory: Path) -> tuple[Path, Path]:
    """Return tokens and tokenizer: bytes of the documentation that this Python carries."""
    data = DataPreparationConfig.model_validate({"sources": ["python_documentation"]})
    tokenization = TokenizationConfig.model_validate({"tokenizer": "bytes"})
    prepare(data, directory / "corpus", seed=0)
    train_tokenizer(tokenization, directory / "corpus", directory / "tokenizer")
    pack(tokenization, directory / "corpus", directory / "tokenizer", directory / "tokens")
    return directory / "tokens", directory / "tokenizer"


def loss(kind: str, width: int, power: int, arguments: argparse.Namespace, tokens: Path, tokenizer: Path) -> float:
    """Train one model and return its loss on held-out text; infinite if training diverged."""
    config = PretrainingConfig.model_validate(
        {
            "model": {
                "width": width,
                "depth": 2,
                "head_width": 16,
                "context_length": CONTEXT,
                "parametrization": kind,
            },
            "optimization": {
                "learning_rate": 2.0**power,
                "betas": (0.9, 0.99),
                "schedule": "linear",
                "warmup_steps": WARMUP,
                "batch_tokens": ROWS * CONTEXT,
                "budget_steps": arguments.steps,
            },
            "compute": {
                "accelerator": "cpu",
                "precision": "float32",
                "threads": 1,
                "checkpoint_every_steps": arguments.steps,
            },
            "validation_every_steps": None,
        }
    )
    with tempfile.TemporaryDirectory() as workdir:
        try:
            result = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=Path(workdir), seed=arguments.seed)
        except Diverged:
            return float("inf")
    logger.info("%-8s width %4d  2^%-3d  %.4f nats  %.0f s", kind, width, power, *_told(result))
    return result["validation_loss_nats"]


def _told(result: dict[str, float]) -> tuple[float, float]:
    return result["validation_loss_nats"], result["seconds"]


def best(losses: dict[int, float]) -> int:
    """Return the power of two with the lowest loss."""
    return min(losses, key=lambda power: losses[power])


def table(kind: str, losses: Losses) -> list[str]:
    """Return a Markdown table; the best of each column is bold."""
    rows = [f"| {kind} | " + " | ".join(f"width {width}" for width in losses) + " |", "|---|" + "---:|" * len(losses)]
    for power in next(iter(losses.values())):
        cells = (f"{each[power]:.3f}" for each in losses.values())
        marked = (
            f"**{cell}**" if best(each) == power else cell for cell, each in zip(cells, losses.values(), strict=True)
        )
        rows.append(f"| 2^{power} | " + " | ".join(marked) + " |")
    return rows


def spread_of(losses: Losses) -> int:
    """Return how many steps of the grid the best rates of the widths lie apart."""
    powers = [best(each) for each in losses.values()]
    return max(powers) - min(powers)


def aims(grids: dict[str, Losses]) -> list[Aim]:
    """Return what the spreads are to be, as factors."""
    stays, moves = (2.0 ** spread_of(grids[kind]) for kind in ("u_mup", "standard"))
    return [
        Aim("u_mup: factor between the best rates of the widths", stays, 2.0, at_most=True),
        Aim("standard: factor between the best rates of the widths", moves, 4.0),
    ]


def verdict(kind: str, losses: Losses) -> str:
    """Say where the best rates lie, and what the best rate of the narrowest model costs the widest."""
    powers = {width: best(each) for width, each in losses.items()}
    narrow, wide = min(losses), max(losses)
    spread = spread_of(losses)
    word = "stays" if spread <= 1 else "moves"
    places = ", ".join(f"2^{power} at {width}" for width, power in powers.items())
    cost = losses[wide][powers[narrow]] - losses[wide][powers[wide]]
    ends = {min(losses[narrow]), max(losses[narrow])}
    remark = "; a best rate lies at the end of its grid" if ends & set(powers.values()) else ""
    return (
        f"{kind}: the best learning rate {word} (a factor of {2**spread} over the widths): {places}. The best of width "
        f"{narrow} costs width {wide} {cost:+.3f} nats{remark}."
    )


if __name__ == "__main__":
    main()
