"""What is learned from unlabelled text. A family: one objective a file.

An objective turns rows of tokens into inputs and labels, owns the network that its loss needs, and says what of that
network the export folds. One LightningModule trains all of them.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from configs.component import Component
from lm_modules.data.rows import Stream

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from configs.model import ModelConfig
    from lm_modules.data.rows import Rows
    from lm_modules.data.vocabulary import Vocabulary

Batch = dict[str, "Tensor"]
"""Named tensors whose first axis is the row; those of a mixture are of one part each."""

NOT_SCORED = -100


class Objective(Component):
    """Base of the family.

    The loss that is minimised is the sum of one or more parts, each the mean over what it scores in the whole step,
    times its weight. Parts are named, so that each is logged, and a step's loss is the same however its batch is cut.
    """

    overlap: ClassVar[int] = 0
    """Tokens that a row shares with the next, because they are read in one and scored in the other."""
    continues_text: ClassVar[bool] = False
    """Whether the exported model is a language model, which can be sampled from and measured as one."""
    scores_every_token: ClassVar[bool] = False
    """Whether the loss is that of the whole text as it stands, so that its bits per byte can be told."""
    stock_class: ClassVar[str | None] = None
    """The class of `transformers` whose models can be trained on this as they are; None where it needs our network."""
    reads_padding: ClassVar[bool] = False
    """Whether rows may end in padding, which it then neither scores nor lets other tokens read."""
    holds: ClassVar[Mapping[str, str]] = {}
    """The objectives, by kind, whose whole network is a part of this one's, and the name of that part."""

    @abstractmethod
    def row_length(self, context_length: int) -> int:
        """Return how many tokens of text a row takes so that the model reads at most `context_length` tokens."""
        raise NotImplementedError

    @abstractmethod
    def corrupt(self, tokens_BL: Tensor, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Turn rows of text into inputs and labels; equal generators give equal batches.

        Everything that is drawn is drawn here, for all rows of a step at once.
        """
        raise NotImplementedError

    def streams(self, context_length: int) -> tuple[Stream, ...]:
        """Return which text the rows of a batch are cut from: all of it, unless the objective is a mixture."""
        return (Stream(self.row_length(context_length), self.overlap),)

    def fewest_rows(self) -> int:
        """Return how many rows a batch must have at least."""
        return 1

    def corrupt_rows(self, rows: Rows, vocabulary: Vocabulary, generator: torch.Generator) -> Batch:
        """Do as `corrupt`, knowing which document and which stream the rows come from."""
        return self.corrupt(rows.tokens, vocabulary, generator)

    def num_rows(self, batch: Batch) -> int:
        """Return how many rows a batch has."""
        return len(batch["tokens"])

    def cut(self, batch: Batch, start: int, rows: int) -> Batch:
        """Return up to so many rows of a batch from this one on, as a smaller batch."""
        return {name: tensor[start : start + rows] for name, tensor in batch.items()}

    @abstractmethod
    def network(self, model: ModelConfig, vocabulary: Vocabulary, batch_tokens: int) -> nn.Module:
        """Return the backbone plus what the loss needs, not yet initialised."""
        raise NotImplementedError

    def place_of(self, other: Objective) -> str | None:
        """Return the name of the part of this network that another objective trains.

        That is "" where it trains all of it, and None where it trains another network.
        """
        return {**self.holds, self.kind: ""}.get(other.kind)

    @abstractmethod
    def losses(self, network: Any, batch: Batch) -> dict[str, Tensor]:
        """Return, by part, the mean over what it scores in these rows, in nats and float32."""
        raise NotImplementedError

    def num_scored(self, batch: Batch) -> dict[str, Tensor]:
        """Return, by part, how much of it these rows score."""
        return {"loss": (batch["labels"] != NOT_SCORED).sum()}

    def weights(self) -> dict[str, float]:
        """Return what each part's mean is multiplied by in the loss."""
        return {"loss": 1.0}

    def guessing(self, vocab_size: int) -> dict[str, float]:
        """Return, by part, the mean in nats of an answer that finds all possibilities alike; here these are tokens."""
        return dict.fromkeys(self.weights(), math.log(vocab_size))

    def training_flops(self, model: ModelConfig, vocab_size: int) -> float | None:
        """Return the operations of one row, forward and backward (see `lm_modules.model.cost`); None if not known."""
        return None

    def write(
        self, network: Any, text_L: Tensor, vocabulary: Vocabulary, generator: torch.Generator
    ) -> tuple[Tensor, Tensor] | None:
        """Return what is given of a held-out text and what the network makes of it, as tokens, for people to read.

        Equal generators give equal texts. None for an objective that writes nothing.
        """
        return None

    @abstractmethod
    def architecture(self, model: ModelConfig) -> str:
        """Return the file in `lm_modules.export` that folds what was trained into a stock model."""
        raise NotImplementedError
