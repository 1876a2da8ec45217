"""Time to a validation loss on the tiny Shakespeare text: the preset `shakespeare_char` beside nanoGPT's CPU recipe.

    python benchmarks/time_to_loss.py --text input.txt [--steps 2000] [--threads 2]

The recipe is that of nanoGPT's README for a laptop: GPT-2's architecture (LayerNorm, learned positions, GELU, no bias),
4 layers, 4 heads, width 128, context 64, batch 12, AdamW at 1e-3 with betas (0.9, 0.99) and weight decay 0.1, 100 steps
of warm-up, cosine to 1e-4, no dropout, float32. The preset trains twice: for as many steps as fit into the whole of the
recipe's time, and into a quarter of it, both told from the time of some first steps of both. All train on the first
90 % of the characters in this one process, in turns of some steps, so that they see the same machine, and are scored on
the whole of the last 10 %, in nats a character, each in rows of its own context. The clocks count training steps alone.
"""

from __future__ import annotations

import argparse
import copy
import logging
import math
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.loading import load
from lm_modules.data.batches import open_batches
from lm_modules.data.packed import write_packed
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.training.optimizers import build_optimizers, set_learning_rate
from lm_modules.training.schedules import schedule
from lm_modules.training.trainer import resolve_precision

logger = logging.getLogger("time_to_loss")

CONTEXT, ROWS, WIDTH, DEPTH, HEADS = 64, 12, 128, 4, 4
TURN = 25


class Block(nn.Module):
    """GPT-2's layer without biases."""

    def __init__(self) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH, bias=False) for _ in range(2)])
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        heads = (each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in self.qkv(self.norms[0](x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(*heads, is_causal=True).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Gpt(nn.Module):
    """GPT-2 with tied embeddings."""

    def __init__(self, vocab_size: int) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocab_size, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:
                residual = name.endswith(("out.weight", "down.weight"))
                nn.init.normal_(parameter, 0.0, 0.02 / math.sqrt(2 * DEPTH) if residual else 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.linear(self.norm(x), self.tokens.weight)


@dataclass
class Contestant:
    """Something that trains: its name, a step, its loss on held-out rows, and what was seen."""

    name: str
    steps: int
    context: int
    done: int = 0
    seconds: float = 0.0
    loss_at_the_end: float = math.nan

    def step(self) -> None:
        raise NotImplementedError

    def loss(self, rows: Tensor) -> Tensor:
        raise NotImplementedError

    def train(self, steps: int) -> None:
        """Train for so many steps and count their time."""
        started = time.perf_counter()
        for _ in range(steps):
            self.step()
            self.done += 1
        self.seconds += time.perf_counter() - started


class NanoGpt(Contestant):
    """The recipe of nanoGPT."""

    def __init__(self, text: Tensor, vocab_size: int, steps: int) -> None:
        super().__init__("nanoGPT's recipe", steps, CONTEXT)
        self.text, self.chance = text, torch.Generator().manual_seed(2)
        self.network = Gpt(vocab_size)
        decayed = [each for each in self.network.parameters() if each.ndim == 2]
        others = [each for each in self.network.parameters() if each.ndim != 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)

    def step(self) -> None:
        progress = min(1.0, max(0.0, (self.done - 100) / (self.steps - 100)))
        rate = 1e-3 * (self.done + 1) / 100 if self.done < 100 else 1e-4 + 4.5e-4 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(self.text) - CONTEXT - 1, (ROWS,), generator=self.chance).tolist()
        self.loss(torch.stack([self.text[start : start + CONTEXT + 1] for start in starts])).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self, rows: Tensor) -> Tensor:
        return F.cross_entropy(self.network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


class Preset(Contestant):
    """The preset's model, objective, optimizer, precision and batches."""

    def __init__(self, tokens: Path, vocab_size: int, steps: int) -> None:
        config = load("shakespeare_char").pretraining
        assert config is not None
        super().__init__(f"shakespeare_char, {steps} steps", steps, config.model.context_length)
        self.objective, self.optimization = config.objective, config.optimization
        self.bf16 = resolve_precision(config.compute) == "bf16"
        self.vocabulary = Vocabulary(vocab_size, 0)
        streams = config.objective.streams(config.model.context_length)
        self.batches = open_batches(tokens, streams=streams, sizes=config.batch_sizes, seed=0)
        self.network = self.objective.network(config.model, self.vocabulary, config.optimization.batch_tokens)
        initialize(self.network, torch.Generator().manual_seed(0))
        self.optimizers = build_optimizers(self.network, self.optimization)
        self.scaling = config.model.parametrization.scaling(vocab_size, config.optimization.batch_tokens)

    def step(self) -> None:
        set_learning_rate(self.optimizers, schedule(self.optimization, self.done, self.steps))
        (self.loss(self.batches[self.done].tokens) * self.scaling.loss_gradient).backward()
        for each in self.optimizers:
            each.step()
            each.zero_grad()

    def loss(self, rows: Tensor) -> Tensor:
        batch = self.objective.corrupt(rows, self.vocabulary, torch.Generator())
        with torch.autocast("cpu", torch.bfloat16, enabled=self.bf16):
            return self.objective.losses(self.network, batch)["loss"]


def validate(contestant: Contestant, text: Tensor) -> float:
    """Return nats a character over all of the text, in rows of the contestant's context."""
    context = contestant.context
    whole = (len(text) - 1) // context * context
    rows = torch.stack([text[start : start + context + 1] for start in range(0, whole, context)])
    with torch.no_grad():
        losses = [float(contestant.loss(some)) * len(some) for some in rows.split(4096 // context)]
    return sum(losses) / len(rows)


def steps_in_the_same_time(recipe: NanoGpt, preset: Preset) -> float:
    """Return how many steps of the preset take the time of one of the recipe, by copies of both in turns."""
    one, other = copy.deepcopy(recipe), copy.deepcopy(preset)
    for turn in range(4):
        if turn == 1:  # the first turn is slow
            one.seconds = other.seconds = 0.0
        one.train(TURN)
        other.train(TURN)
    return one.seconds / other.seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000, help="steps of nanoGPT's recipe")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logger.setLevel(logging.INFO)
    torch.set_num_threads(arguments.threads)
    characters = arguments.text.read_text(encoding="utf-8")
    known = sorted(set(characters))
    number = {each: index for index, each in enumerate(known, 1)}  # 0 is the end of text that the engine wants
    ids = torch.tensor([number[each] for each in characters])
    vocab_size, whole = len(known) + 1, int(0.9 * len(ids))
    with tempfile.TemporaryDirectory() as folder:
        document = (ids[:whole].numpy(), whole)
        write_packed(Path(folder), "train", [document], vocab_size=vocab_size, end_of_text_id=0)
        torch.manual_seed(1)
        recipe = NanoGpt(ids[:whole], vocab_size, arguments.steps)
        fitting = steps_in_the_same_time(recipe, Preset(Path(folder), vocab_size, 1000)) * arguments.steps
        full, quarter = (Preset(Path(folder), vocab_size, int(part * fitting)) for part in (0.97, 0.23))
        contestants = [recipe, full, quarter]
        while any(each.done < each.steps for each in contestants):
            for each in contestants:
                each.train(min(TURN, each.steps - each.done))
        for each in contestants:
            each.loss_at_the_end = validate(each, ids[whole:])
            logger.info("%-30s %6.1f s  %.4f nats a character", each.name, each.seconds, each.loss_at_the_end)
    for each in (quarter, full):
        logger.info(
            "%s: %+.3f nats in %.3f of the time",
            each.name,
            each.loss_at_the_end - recipe.loss_at_the_end,
            each.seconds / recipe.seconds,
        )


if __name__ == "__main__":
    main()
