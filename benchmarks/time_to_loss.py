"""Time to a validation loss on the tiny Shakespeare text: the preset `shakespeare_char` beside nanoGPT's CPU recipe.

    python benchmarks/time_to_loss.py --text input.txt [--steps 2000] [--threads 2] [--seeds 1] [--check]
                                      [--hardware NAME] [--output benchmarks/results/...md]

The text is `data/tinyshakespeare/input.txt` of Karpathy's char-rnn (https://github.com/karpathy/char-rnn): 1,115,394
bytes, sha256 86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed.

The recipe is that of nanoGPT's README for a laptop: GPT-2's architecture (LayerNorm, learned positions, GELU, no bias),
4 layers, 4 heads, width 128, context 64, batch 12, AdamW at 1e-3 with betas (0.9, 0.99) and weight decay 0.1, 100 steps
of warm-up, cosine to 1e-4, no dropout, float32. The preset trains by the whole engine, its checkpoints included, twice:
for as many steps as fit into the recipe's time, and into a quarter of it, both told from some first steps of both. All
train on the first 90 % of the characters, each in a process of its own and in turns of some steps, so that they see the
same machine, and are scored on the whole of the last 10 %, in nats a character, each in rows of its own context.
With `--seeds` all is repeated with other seeds, for recipe and preset alike. In a quarter of the time the preset is to
reach the recipe's loss, and in all of it to be 0.30 nats better, by the medians over the seeds; `--check` makes a
missed aim an exit code of 1.
"""

from __future__ import annotations

import argparse
import logging
import math
import platform
import statistics
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from aims import Aim, add_check, tell
from nano_gpt import CONTEXT, Gpt
from tokenizers import Tokenizer, models
from torch import Tensor
from turns import announce_steps_of_the_engine, train_in_turns

from configs.loading import load
from lm_modules.data.input_files import file_digest
from lm_modules.data.packed import write_packed
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.training.checkpoints import read_tensors
from lm_modules.training.trainer import resolve_precision

logger = logging.getLogger("time_to_loss")

ROWS = 12
TURN = 25
QUARTER, WHOLE = "shakespeare_char in a quarter of the time", "shakespeare_char in all of the time"
DIGEST = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed"


class Text:
    """The characters as numbers from 1 on, as 0 is the end of text that the engine wants: 90 % of them to train on."""

    def __init__(self, path: Path) -> None:
        characters = path.read_text(encoding="utf-8")
        number = {each: index for index, each in enumerate(sorted(set(characters)), 1)}
        ids, whole = torch.tensor([number[each] for each in characters]), int(0.9 * len(characters))
        self.vocab_size, self.train, self.validation = len(number) + 1, ids[:whole], ids[whole:]


def nano_gpt(path: Path, steps: int, seed: int, step_begins: Callable[[], None]) -> float:
    """Train by the recipe of nanoGPT; return nats a character."""
    torch.manual_seed(1 + 2 * seed)
    text, chance = Text(path), torch.Generator().manual_seed(2 + 2 * seed)
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


def preset(path: Path, steps: int, seed: int, step_begins: Callable[[], None]) -> float:
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
        result = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=Path(folder, "work"), seed=seed)
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
    parser.add_argument("--seeds", type=int, default=1, help="how many times all is done, each with another seed")
    parser.add_argument("--hardware", default="hardware not named", help="named in the file of --output")
    parser.add_argument("--output", type=Path, help="a Markdown file to write as well")
    add_check(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if (digest := file_digest(arguments.text)) != DIGEST:
        logger.info("%s is another text (sha256 %s): its losses are not those of the aims", arguments.text, digest)
    lines, contests = [], []
    for seed in range(arguments.seeds):
        ends = contest(arguments.text, arguments.steps, arguments.threads, seed)
        for end in ends:
            logger.info("seed %d  %-42s %s", seed, end.name, end.beside(ends[0]))
        lines += [f"| {seed} | {end.row(ends[0])} |" for end in ends]
        contests.append(ends)
    found = aims(contests)
    if arguments.output:
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        arguments.output.write_text("\n".join([*_heading(arguments), *lines, "", *(f"- {aim}" for aim in found), ""]))
    tell(found, check=arguments.check)


@dataclass(frozen=True)
class End:
    """What a contestant has come to."""

    name: str
    steps: int
    seconds: float
    loss: float

    def beside(self, recipe: End) -> str:
        """Return the figures in a line."""
        return (
            f"{self.steps:5d} steps {self.seconds:6.1f} s  {self.loss:.4f} nats a character, "
            f"{self.loss - recipe.loss:+.3f} in {self.seconds / recipe.seconds:.3f} of the time"
        )

    def row(self, recipe: End) -> str:
        """Return the figures as cells of a table."""
        figures = (f"{self.loss:.4f}", f"{self.loss - recipe.loss:+.4f}", f"{self.seconds / recipe.seconds:.3f}")
        return " | ".join((self.name, str(self.steps), f"{self.seconds:.1f}", *figures))


def contest(path: Path, steps: int, threads: int, seed: int) -> list[End]:
    """Train the recipe, and the preset in a quarter of its time and in all of it; the recipe is the first."""
    works: dict[str, Any] = {"recipe": (nano_gpt, (path, 14 * TURN, seed)), "preset": (preset, (path, 14 * TURN, seed))}
    first = train_in_turns(works, steps=TURN, left_out=0, threads=threads)
    turns = zip(*(first[name].seconds[1:-1] for name in works), strict=True)  # without the start and the end
    fitting = steps * statistics.median(recipe / ours for recipe, ours in turns)
    # a little less than fits, as a start and an end take their time too
    numbers = {"nanoGPT's recipe": steps, QUARTER: max(1, int(0.2 * fitting)), WHOLE: max(1, int(0.93 * fitting))}
    works = {
        name: (preset if name in (QUARTER, WHOLE) else nano_gpt, (path, number, seed))
        for name, number in numbers.items()
    }
    records = train_in_turns(works, steps=TURN, left_out=0, threads=threads)
    return [End(name, numbers[name], sum(record.seconds), record.result) for name, record in records.items()]


def aims(contests: list[list[End]]) -> list[Aim]:
    """Return what is to be reached in a quarter of the recipe's time, and in all of it: medians over the seeds."""
    found = []
    for place, better, time in ((1, 0.0, 0.25), (2, 0.3, 1.0)):
        name = contests[0][place].name.removeprefix("shakespeare_char ")
        nats = statistics.median(ends[0].loss - ends[place].loss for ends in contests)
        part = statistics.median(ends[place].seconds / ends[0].seconds for ends in contests)
        found += [
            Aim(f"nats below the recipe {name}", nats, better),
            Aim(f"part of the recipe's time taken {name}", part, time, at_most=True),
        ]
    return found


def _heading(arguments: argparse.Namespace) -> list[str]:
    version = f"{platform.python_implementation()} {platform.python_version()}, torch {torch.__version__}"
    return [
        f"# Time to a loss, {arguments.hardware}",
        "",
        f"`python benchmarks/time_to_loss.py --steps {arguments.steps} --threads {arguments.threads} "
        f"--seeds {arguments.seeds}`, {version}, {date.today():%d %B %Y}.",
        "",
        "| seed | what | steps | seconds | nats a character | beside the recipe | part of its time |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]


if __name__ == "__main__":
    main()
