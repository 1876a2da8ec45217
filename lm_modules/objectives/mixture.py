"""Several objectives of one network, or one over several corpora, in one run: each has a share of every batch.

parts     prose: causal_lm over `web`, weight 0.7        code: fill in the middle over `code`, weight 0.3
batch     prose code prose prose prose code ...          see lm_modules/data/rows.py
loss      0.7 * mean of prose + 0.3 * mean of code       both are logged

All parts train one network (see lm_modules/model/common_network.py). What can be mixed is therefore one objective in
several settings or over several corpora, and `masked_lm` with `next_sentence`, whose network holds that of the first:
both train the encoder, and the second its head for pairs as well.

With span denoising of several settings as its parts this is the mixture of denoisers of UL2 (Tay et al. 2022, arXiv
2205.05131, section 3.1) without its mode tokens.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from configs.base import Config
from configs.component import OneOf
from lm_modules.data.rows import Rows, Stream, fewest_rows, whole_shares
from lm_modules.model.common_network import common_architecture, common_network, places
from lm_modules.objectives import Batch, Objective

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.vocabulary import Vocabulary

TAKEN = (
    "loss",
    "learning_rate",
    "gradient_norm",
    "tokens_per_second",
    "data_wait_fraction",
    "mfu",
    "bits_per_byte",
    "bits_per_byte_estimate",
)
"""Names under which training reports something else."""


class Part(Config):
    """An objective, the text that it learns from, and its share."""

    objective: Annotated[Any, OneOf("lm_modules.objectives", without=("mixture",))] = "causal_lm"
    """What is learned in the rows of this part."""
    sources: tuple[str, ...] | None = Field(default=None, min_length=1)
    """The sources whose documents are read, by name; null reads all."""
    weight: float = Field(default=1.0, gt=0)
    """Share of the rows and of the loss, beside the weights of the other parts."""


class Mixture(Objective):
    """Several objectives or corpora in one run; all parts train one network, or a part of it."""

    model_config = ConfigDict(title="Mixture")

    kind: Literal["mixture"] = "mixture"
    """Several objectives or corpora, each with a share of every batch."""
    parts: dict[str, Part] = Field(
        default={
            "forward": Part(),
            "fill_in_middle": Part(objective={"kind": "causal_lm", "fill_in_middle_fraction": 1.0}),
        },
        min_length=1,
    )
    """The parts by name; losses are logged under these names."""

    @model_validator(mode="after")
    def _parts_can_be_named(self) -> Self:
        for name in self.parts:
            if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in TAKEN:
                raise ValueError(
                    f"a part cannot be called {name!r}; take small letters, digits and _, but none of "
                    f"{', '.join(TAKEN)}"
                )
        return self

    @property
    def shares(self) -> dict[str, float]:
        """The part of the rows, and of the loss, that each part has."""
        whole = self._whole_shares()
        return {name: share / sum(whole) for name, share in zip(self.parts, whole, strict=True)}

    def _whole_shares(self) -> tuple[int, ...]:
        return whole_shares([part.weight for part in self.parts.values()])

    @property
    def continues_text(self) -> bool:  # type: ignore[override]
        """Whether all parts train a language model."""
        return all(part.objective.continues_text for part in self.parts.values())

    @property
    def scores_every_token(self) -> bool:  # type: ignore[override]
        """Whether all parts do."""
        return all(part.objective.scores_every_token for part in self.parts.values())

    @property
    def reads_padding(self) -> bool:  # type: ignore[override]
        """Whether all parts do."""
        return all(part.objective.reads_padding for part in self.parts.values())

    @property
    def stock_class(self) -> str | None:  # type: ignore[override]
        """What all parts have in common; parts of different ones are a ValueError."""
        (first, expected), *others = ((name, part.objective.stock_class) for name, part in self.parts.items())
        for name, found in others:
            if found != expected:
                one, other = (each or "no stock model" for each in (expected, found))
                raise ValueError(
                    f"the parts of a mixture train one model, and {first!r} trains {one}, {name!r} {other}; leave one "
                    "out, or give both an objective of the same model"
                )
        return expected

    @property
    def isolate_documents(self) -> bool:
        """Whether a part keeps the documents of a row apart."""
        return any(getattr(part.objective, "isolate_documents", False) for part in self.parts.values())

    def row_length(self, context_length: int) -> int:
        """Return the longest row of a part."""
        return max(part.objective.row_length(context_length) for part in self.parts.values())

    def streams(self, context_length: int) -> tuple[Stream, ...]:
        """Return one stream for each part."""
        return tuple(
            replace(stream, weight=part.weight, sources=part.sources, name=name)
            for name, part in self.parts.items()
            for stream in part.objective.streams(context_length)
        )

    def fewest_rows(self) -> int:
        """Return how many rows a batch needs so that each part has as many as it needs in all of them."""
        return fewest_rows(self._whole_shares(), [part.objective.fewest_rows() for part in self.parts.values()])

    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Turn rows of which nothing is known into a batch: they are dealt out to the parts in turn, and read whole."""
        import torch

        rows = Rows.unrelated(tokens_BL, vocabulary.end_of_text_id)
        dealt = replace(rows, streams=torch.arange(len(tokens_BL)) % len(self.parts))
        return self.corrupt_rows(dealt, vocabulary, generator)

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Let each part turn its rows into inputs and labels."""
        batch = {"part": rows.streams}
        for number, (name, part) in enumerate(self.parts.items()):
            own = rows.of_stream(number)
            if len(own.tokens):
                made = part.objective.corrupt_rows(own, vocabulary, generator)
                batch |= {f"{name}/{key}": tensor for key, tensor in made.items()}
        return batch

    def num_rows(self, batch: Batch) -> int:
        """Return the rows of all parts."""
        return len(batch["part"])

    def cut(self, batch: Batch, start: int, rows: int) -> Batch:
        """Return some rows of a batch; a part that has none among them is left out."""
        before_B, cut_B = batch["part"][:start], batch["part"][start : start + rows]
        smaller = {"part": cut_B}
        for number, name, part, own in self._own(batch):
            first, count = int((before_B == number).sum()), int((cut_B == number).sum())
            if count:
                smaller |= {f"{name}/{key}": each for key, each in part.objective.cut(own, first, count).items()}
        return smaller

    def _own(self, batch: Batch) -> list[tuple[int, str, Part, Batch]]:
        """Return number, name, settings and batch of every part that has rows in a batch."""
        found = []
        for number, (name, part) in enumerate(self.parts.items()):
            own = {key.partition("/")[2]: each for key, each in batch.items() if key.startswith(f"{name}/")}
            if own:
                found.append((number, name, part, own))
        return found

    @property
    def _objectives(self) -> dict[str, Objective]:
        return {name: part.objective for name, part in self.parts.items()}

    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the network that holds those of all parts; parts that need another one are refused."""
        return common_network(self._objectives, model, vocabulary, batch_tokens)

    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return the losses of the parts that have rows in this batch, each from the network that it trains."""
        _, held = places(self._objectives)
        return {
            _named(name, key): loss
            for _, name, part, own in self._own(batch)
            for key, loss in part.objective.losses(network.get_submodule(held[name]), own).items()
        }

    def num_scored(self, batch: Batch) -> dict[str, Tensor]:
        """Return how much each part scores; none where it has no rows."""
        counts = {name: batch["part"].new_zeros(()) for name in self.weights()}
        for _, name, part, own in self._own(batch):
            counts |= {_named(name, key): count for key, count in part.objective.num_scored(own).items()}
        return counts

    def weights(self) -> dict[str, float]:
        """Return the share of each part times the weights inside of it."""
        return {
            _named(name, key): share * weight
            for name, share in self.shares.items()
            for key, weight in self.parts[name].objective.weights().items()
        }

    def guessing(self, vocab_size: int) -> dict[str, float]:
        """Return those of the parts."""
        return {
            _named(name, key): nats
            for name in self.shares
            for key, nats in self.parts[name].objective.guessing(vocab_size).items()
        }

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float | None:
        """Return the mean over the rows of a batch."""
        total = 0.0
        for name, share in self.shares.items():
            flops = self.parts[name].objective.training_flops(model, vocab_size)
            if flops is None:
                return None
            total += share * flops
        return total

    def write(
        self, network: Any, text_L: Tensor, vocabulary: Vocabulary, generator: torch.Generator
    ) -> tuple[Tensor, Tensor] | None:
        """Return what the first part writes that writes anything."""
        _, held = places(self._objectives)
        for name, part in self.parts.items():
            written = part.objective.write(network.get_submodule(held[name]), text_L, vocabulary, generator)
            if written is not None:
                return written
        return None

    def architecture(self, model: ModelConfig) -> str:
        """Return the architecture of the network that holds those of all parts; others are a ValueError."""
        return common_architecture(self._objectives, model)


def _named(part: str, key: str) -> str:
    """Return the name of a loss: the part's own name where it has only one."""
    return part if key == "loss" else f"{part}/{key}"
