"""Time to a validation loss on the tiny Shakespeare text: the preset `shakespeare_char` beside nanoGPT's CPU recipe.

    python benchmarks/time_to_loss.py --text input.txt [--steps 2000] [--threads 2]

The recipe is that of nanoGPT's README for a laptop: GPT-2's architecture (LayerNorm, learned positions, GELU, no bias),
4 layers, 4 heads, width 128, context 64, batch 12, AdamW at 1e-3 with betas (0.9, 0.99) and weight decay 0.1, 100 steps
of warm-up, cosine to 1e-4, no dropout, float32. The preset trains by the whole engine, its checkpoints included, twice:
for as many steps as fit into the recipe's time, and into a quarter of it, both told from some first steps of both. All
train on the first 90 % of the characters, each in a process of its own and in turns of some steps, so that they see the
same machine, and are scored on the whole of the last 10 %, in nats a character, each in rows of its own context.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, models
from torch import Tensor, nn
from turns import announce_steps_of_the_engine, train_in_turns

from configs.loading import load
from lm_modules.data.packed import write_packed
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.training.checkpoints import read_tensors
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


class Text:
    """The characters as numbers from 1 on, as 0 is the end of text that the engine wants: 90 % of them to train on."""

    def __init__(self, path: Path) -> None:
        characters = path.read_text(encoding="utf-8")
        number = {each: index for index, each in enumerate(sorted(set(characters)), 1)}
        ids, whole = torch.tensor([number[each] for each in characters]), int(0.9 * len(characters))
        self.vocab_size, self.train, self.validation = len(number) + 1, ids[:whole], ids[whole:]


def nano_gpt(path: Path, steps: int, step_begins: Callable[[], None]) -> float:
    """Train by the recipe of nanoGPT; return nats a character."""
    torch.manual_seed(1)
    text, chance = Text(path), torch.Generator().manual_seed(2)
    network = Gpt(text.vocab_size)
    decayed = [each for each in network.parameters() if each.ndim == 2]
    others = [each for each in network.parameters() if each.ndim != 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), fused=True)

    def loss(rows: Tensor) -> Tensor:
        return F.cross_entropy(network(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())

    for step in range(steps):
        step_begins()
        progress = min(1.0, max(0.0, (step - 100) / max(1, steps - 100)))
        rate = 1e-3 * (step + 1) / 100 if step < 100 else 1e-4 + 4.5e-4 * (1 + math.cos(math.pi * progress))
        for group in optimizer.param_groups:
            group["lr"] = rate
        starts = torch.randint(len(text.train) - CONTEXT - 1, (ROWS,), generator=chance).tolist()
        loss(torch.stack([text.train[start : start + CONTEXT + 1] for start in starts])).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return validate(loss, text.validation, CONTEXT)


def preset(path: Path, steps: int, step_begins: Callable[[], None]) -> float:
    """Train the preset's model, with its own settings but the number of steps; return nats a character."""
    from lm_modules.training.pretraining import pretrain

    announce_steps_of_the_engine(step_begins)
    text, config = Text(path), load("shakespeare_char").pretraining
    assert config is not None
    changes = {"validation_every_steps": None, "validation_tokens": config.model.context_length}
    optimization = config.optimization.model_copy(update={"budget_steps": steps})
    config = config.model_copy(update={**changes, "optimization": optimization})
    with tempfile.TemporaryDirectory() as folder:
        tokens, tokenizer = Path(folder, "tokens"), Path(folder, "tokenizer")
        for split, ids in (("train", text.train), ("validation", text.validation)):
            document = (ids.numpy(), len(ids))
            write_packed(tokens, split, [document], vocab_size=text.vocab_size, end_of_text_id=0)
        tokenizer.mkdir()
        words = {f"character{number}": number for number in range(text.vocab_size)}
        Tokenizer(models.WordLevel(words, unk_token="character0")).save(str(tokenizer / "tokenizer.json"))
        result = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=Path(folder, "work"), seed=0)
        weights = read_tensors(Path(result["checkpoint"]), "model")
    vocabulary = Vocabulary(text.vocab_size, 0)
    network = config.objective.network(config.model, vocabulary, config.optimization.batch_tokens)
    network.load_state_dict(weights)
    bf16 = resolve_precision(config.compute) == "bf16"

    def loss(rows: Tensor) -> Tensor:
        batch = config.objective.corrupt(rows, vocabulary, torch.Generator())
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return config.objective.losses(network, batch)["loss"]

    return validate(loss, text.validation, config.model.context_length)


def validate(loss: Callable[[Tensor], Tensor], text: Tensor, context: int) -> float:
    """Return nats a character over all of the text, in rows of this context."""
    whole = (len(text) - 1) // context * context
    rows = torch.stack([text[start : start + context + 1] for start in range(0, whole, context)])
    with torch.no_grad():
        return sum(float(loss(some)) * len(some) for some in rows.split(4096 // context)) / len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=2000, help="steps of nanoGPT's recipe")
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    path, threads = arguments.text, arguments.threads
    works = {"recipe": (nano_gpt, (path, 14 * TURN)), "preset": (preset, (path, 14 * TURN))}
    first = train_in_turns(works, steps=TURN, left_out=0, threads=threads)
    turns = zip(*(first[name].seconds[1:-1] for name in works), strict=True)  # without the start and the end
    fitting = arguments.steps * statistics.median(recipe / ours for recipe, ours in turns)
    # less than the whole, as a start and an end take their time too
    steps = {"in a quarter of the time": int(0.2 * fitting), "in all of the time": int(0.95 * fitting)}
    works = {"nanoGPT's recipe": (nano_gpt, (path, arguments.steps))}
    works |= {f"shakespeare_char {when}": (preset, (path, number)) for when, number in steps.items()}
    records = train_in_turns(works, steps=TURN, left_out=0, threads=threads)
    beside = records["nanoGPT's recipe"]
    for name, (_, (_, number)) in works.items():
        loss, seconds = records[name].result, sum(records[name].seconds)
        logger.info(
            "%-42s %5d steps %6.1f s  %.4f nats a character, %+.3f in %.3f of the time",
            name,
            number,
            seconds,
            loss,
            loss - beside.result,
            seconds / sum(beside.seconds),
        )


if __name__ == "__main__":
    main()
