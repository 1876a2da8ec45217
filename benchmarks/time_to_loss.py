"""Time to a validation loss on the tiny Shakespeare text: the preset `shakespeare_char` beside nanoGPT's CPU recipe.

    python benchmarks/time_to_loss.py --text input.txt [--steps 2000] [--quarter 320] [--threads 2]

The recipe is that of nanoGPT's README for a laptop: GPT-2's architecture (LayerNorm, learned positions, GELU, no bias),
4 layers, 4 heads, width 128, context 64, batch 12, AdamW at 1e-3 with betas (0.9, 0.99) and weight decay 0.1, 100 steps
of warm-up, cosine to 1e-4, no dropout. Both train on the first 90 % of the characters in this one process, in turns of
some steps, so that both see the same machine; both are scored on the whole of the last 10 %, in nats a character. The
clocks count training steps alone.
"""

from __future__ import annotations

import argparse
import logging
import math
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from configs.loading import load
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.training.optimizers import build_optimizers, set_learning_rate
from lm_modules.training.schedules import schedule

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
    done: int = 0
    seconds: float = 0.0
    curve: list[tuple[int, float, float]] = field(default_factory=list)

    def step(self, rows: Tensor) -> None:
        raise NotImplementedError

    def loss(self, rows: Tensor) -> Tensor:
        raise NotImplementedError


class NanoGpt(Contestant):
    """The recipe of nanoGPT."""

    def __init__(self, vocab_size: int, steps: int) -> None:
        super().__init__("nanoGPT's recipe", steps)
        self.network = Gpt(vocab_size)
        decayed = [each for each in self.network.parameters() if each.ndim == 2]
        others = [each for each in self.network.parameters() if each.ndim != 2]
        groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)

    def step(self, rows: Tensor) -> None:
        progress = min(1.0, max(0.0, (self.done - 100) / (self.steps - 100)))
        rate = 1e-3 * (self.done + 1) / 100 if self.done < 100 else 1e-4 + 4.5e-4 * (1 + math.cos(math.pi * progress))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.loss(rows).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def loss(self, rows: Tensor) -> Tensor:
        return F.cross_entropy(self.network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


class Preset(Contestant):
    """The preset's model, objective and optimizer."""

    def __init__(self, vocab_size: int, steps: int) -> None:
        super().__init__("shakespeare_char", steps)
        config = load("shakespeare_char").pretraining
        assert config is not None
        self.objective = config.objective
        self.optimization = config.optimization
        self.vocabulary = Vocabulary(vocab_size, 0)
        self.network = self.objective.network(config.model, self.vocabulary, config.optimization.batch_tokens)
        initialize(self.network, torch.Generator().manual_seed(0))
        self.optimizers = build_optimizers(self.network, self.optimization)
        self.scaling = config.model.parametrization.scaling(vocab_size, config.optimization.batch_tokens)

    def step(self, rows: Tensor) -> None:
        set_learning_rate(self.optimizers, schedule(self.optimization, self.done, self.steps))
        (self.loss(rows) * self.scaling.loss_gradient).backward()
        for each in self.optimizers:
            each.step()
            each.zero_grad()

    def loss(self, rows: Tensor) -> Tensor:
        batch = self.objective.corrupt(rows, self.vocabulary, torch.Generator())
        return self.objective.losses(self.network, batch)["loss"]


def validate(contestant: Contestant, text: Tensor) -> float:
    """Return nats a character over all of the text, in rows of the context."""
    whole = (len(text) - 1) // CONTEXT * CONTEXT
    rows = torch.stack([text[start : start + CONTEXT + 1] for start in range(0, whole, CONTEXT)])
    with torch.no_grad():
        losses = [float(contestant.loss(some)) * len(some) for some in rows.split(64)]
    return sum(losses) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--quarter", type=int, default=320, help="steps of the preset in its short run")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=250)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(arguments.threads)
    characters = arguments.text.read_text(encoding="utf-8")
    known = sorted(set(characters))
    # both get the vocabulary of the text, and the preset one token more, the end of text that it begins with
    ids = torch.tensor([known.index(each) + 1 for each in characters])
    train, held_out = ids[: int(0.9 * len(ids))], ids[int(0.9 * len(ids)) :]
    torch.manual_seed(1)
    short = arguments.quarter
    contestants = [NanoGpt(len(known) + 1, arguments.steps), Preset(len(known) + 1, arguments.steps)]
    contestants.append(Preset(len(known) + 1, short))
    contestants[-1].name += f", {short} steps"
    chance = torch.Generator().manual_seed(2)
    while any(each.done < each.steps for each in contestants):
        batches = torch.randint(len(train) - CONTEXT - 1, (TURN, ROWS), generator=chance)
        for each in contestants:
            if each.done >= each.steps:
                continue
            started = time.perf_counter()
            for starts in batches[: each.steps - each.done]:
                each.step(torch.stack([train[start : start + CONTEXT + 1] for start in starts]))
                each.done += 1
            each.seconds += time.perf_counter() - started
            if each.done % arguments.every == 0 or each.done == each.steps:
                each.curve.append((each.done, each.seconds, validate(each, held_out)))
                logger.info("%-28s step %5d  %7.1f s  %.4f nats", each.name, *each.curve[-1])
    base, full, quick = contestants
    logger.info(
        "same steps: %.2f nats better in %.2f of the time; %d steps: %+.3f nats in %.3f of the time",
        base.curve[-1][2] - full.curve[-1][2],
        full.seconds / base.seconds,
        short,
        quick.curve[-1][2] - base.curve[-1][2],
        quick.seconds / base.seconds,
    )


if __name__ == "__main__":
    main()
