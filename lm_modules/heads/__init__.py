"""Heads: what a fine-tuned model is asked to produce, on stock `transformers` models.

A head knows which fields an example has, how they become token ids, which stock architecture answers, what its loss is
and how an answer is read. Training and evaluation know none of these.

    fields -> checked -> encode -> Encoded, one or several -> collate -> batch -> loss
                                                                          |
                                         answer <- one Prediction for each Encoded <- predict
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from configs.component import Component

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


PAD_MULTIPLE = 8
"""Fewer different shapes of batches: a CPU keeps compiled kernels for each (a fifth of the memory of a fine-tuning)."""

Fields = Mapping[str, Any]
"""What an example says, by the names of the fields: `{"text": "Buy now!", "label": "spam"}`."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """What a model reads at once: an example, or a window of one."""

    token_ids: list[int]
    target: Any = None
    """What the loss compares with; None where there is no answer to learn from."""
    token_type_ids: list[int] | None = None
    """Which of two texts each token is of, for models that ask; None where all are of the first."""
    places: Any = None
    """Where in the example the tokens stand, for heads whose answers are places."""
    weights: Any = None
    """What each of its targets counts in the loss, in the shape of `target`, where labels are weighed."""
    num_more_tokens: int = 0
    """Tokens that the model writes or reads besides `token_ids`."""
    is_cut: bool = False
    """Whether the example has more than fits, which is lost."""

    def __len__(self) -> int:
        return len(self.token_ids) + self.num_more_tokens


@dataclass(frozen=True, slots=True)
class Prediction:
    """What the model answers to one example, or to a row of a batch."""

    value: Any
    probability: float | None
    """The model's own probability of this answer, from 0 to 1, a mean over tokens where answers are long; None where
    answers have none."""
    loss: float | None = None
    """The mean loss in nats over its targets, where these are known."""
    num_targets: int = 1
    """How many targets `loss` is a mean over."""


class Head(Component):
    """What a fine-tuned model is asked to produce."""

    architectures: ClassVar[tuple[str, ...]] = ("decoder", "encoder", "encoder_decoder")
    """Which bases can answer, as `lm_modules.model.stock.architecture_of` calls them."""
    inputs: ClassVar[tuple[str, ...]]
    """Fields that the model reads; every example has them."""
    target: ClassVar[str]
    """Field that it is to answer."""
    optional: ClassVar[tuple[str, ...]] = ()
    """Fields that are read where there are any."""
    of_examples: ClassVar[tuple[str, ...]] = ()
    """Settings that say what an example looks like: models that differ in them are asked for different things."""
    weighs_labels: ClassVar[bool] = False
    """Whether labels can be balanced."""
    smooths_labels: ClassVar[bool] = True
    """Whether its loss heeds `label_smoothing`."""
    gives_probability: ClassVar[bool] = True
    """Whether an answer has a probability."""
    several_answers: ClassVar[bool] = False
    """Whether one input may have several right answers, as a sentence has translations."""
    answers: ClassVar[str]
    """What its answers are, for metrics: labels, tags, passages, numbers, texts, or of given answers the likelihoods or
    which one is preferred (preferences)."""
    metrics: ClassVar[tuple[str, ...]]
    """Kinds of the metrics that are reported in training, the most telling one first."""
    tuned_by: ClassVar[str | None] = None
    """By which `validation/...` weights and trials are chosen, where none is named; None is the first metric."""
    baselines: ClassVar[tuple[str, ...]] = ()
    """Names in `lm_modules.evaluation.baselines` of what answers without a model."""
    answers_untuned: ClassVar[bool] = False
    """Whether a base has all that it answers with, so that it can be asked before it is trained."""
    writes: ClassVar[bool] = False
    """Whether it writes answers token by token, which takes much longer than to tell their loss."""
    service: ClassVar[str]
    """What a registered model answers with: `lm_modules/serving/<service>_service.py`."""
    pipeline_tag: ClassVar[str]
    """The word for it on the Hugging Face Hub."""
    usage: ClassVar[str]
    """Lines of Python that ask the model in `directory`, for its card."""

    def usage_of(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> str:
        """Return these lines for one model, where models are not all asked alike."""
        return self.usage

    @abstractmethod
    def checked(self, fields: Fields) -> dict[str, Any]:
        """Return the fields in the shape in which the head reads them; a ValueError says what is wrong with them.

        The target may be missing, where nobody knows it; the inputs may not.
        """

    def text(self, fields: Fields) -> str:
        """Return all text that the model reads of an example: by it copies and contamination are told."""
        return "\n".join(fields[name] for name in self.inputs)

    def texts(self, fields: Fields) -> tuple[str, ...]:
        """Return each text of an example by itself and unmarked: by them it is told what several heads' sets share.

        Together they decide the split, where none is given.
        """
        each = tuple(fields[name] for name in self.inputs)
        return each if each and all(isinstance(text, str) for text in each) else (self.text(fields),)

    def classes(self, fields: Fields) -> tuple[str, ...]:
        """Return the labels that an example asks for; none where answers are no labels."""
        return ()

    def reference(self, fields: Fields) -> Any:
        """Return what answers are measured against."""
        return fields[self.target]

    def fitted(self, examples: Sequence[Fields]) -> Self:
        """Return the head with what its training must know of the training examples; nothing of it is saved."""
        return self

    def make_independent(self, network: nn.Module) -> None:
        """Change a trained network, whatever adapter is around it, so that it answers without what `fitted` told."""

    def asked(self, fields: Fields) -> Fields:
        """Return what of an example a model may see when it is judged: all but the answer.

        A head whose models are judged by how likely they find the answer shows it.
        """
        return {name: value for name, value in fields.items() if name != self.target}

    def require_fitting(self, base: str | Path) -> None:
        """Raise a ValueError if the architecture of a base cannot answer."""
        from lm_modules.model.stock import architecture_of

        if (found := architecture_of(base)) not in self.architectures:
            able = " or ".join(self.architectures).replace("_", "-")
            raise ValueError(
                f"{base} is an {found.replace('_', '-')}, and the head {self.kind} needs a {able}; choose another base"
            )

    def prepare_tokenizer(self, tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
        """Return the tokenizer as the model is to be saved with it."""
        return tokenizer

    @abstractmethod
    def auto_class(self, base: str | Path) -> Any:
        """Return the class of `transformers` that opens models of this architecture with this head."""

    @abstractmethod
    def network(self, base: str | Path, labels: Sequence[str], *, from_random_weights: bool = False) -> PreTrainedModel:
        """Return the stock model of `base` with this head in float32; the head, or all of it, newly initialised.

        Initialisation draws from torch's global generator. The labels are kept in `config.id2label`.
        """

    @abstractmethod
    def encode(self, fields: Fields, tokenizer: PreTrainedTokenizerBase, labels: Sequence[str]) -> list[Encoded]:
        """Return what is to be read, each at most `tokenizer.model_max_length` tokens, with its target if it is known.

        An example whose answer could not be learned from any part of it that fits gives none.
        """

    def prepare(
        self, network: PreTrainedModel, encoded: Sequence[Sequence[Encoded]], pad_token_id: int
    ) -> Sequence[Sequence[Encoded]]:
        """Return what is learned from, with what the network says of it before the first step.

        A fine-tuning that goes on asks again, so the answer must depend on the base alone.
        """
        return encoded

    def balanced(self, encoded: Sequence[Sequence[Encoded]]) -> Sequence[Sequence[Encoded]]:
        """Return what is learned from with weights by which all labels count the same together, 1 on average."""
        raise NotImplementedError(f"{self.kind} weighs no labels")

    def mixes_lengths(self) -> bool:
        """Return whether batches are of all lengths, and not of similar ones with little padding.

        Either `collate` fits several into a row, or batches of similar lengths are known to teach less.
        """
        return False

    def num_targets(self, encoded: Sequence[Encoded]) -> int:
        """Return how many targets the mean loss of a batch of these rows is over."""
        return len(encoded)

    @abstractmethod
    def collate(self, encoded: Sequence[Encoded], pad_token_id: int) -> dict[str, Tensor]:
        """Return a batch, each tensor [rows, ...], padded to its longest row, rounded up to `PAD_MULTIPLE`.

        A row is one of `encoded`, or several that the model keeps apart.
        """

    @abstractmethod
    def loss(self, network: PreTrainedModel, batch: dict[str, Tensor], label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss in nats over the targets of the batch, in float32."""

    @abstractmethod
    def predict(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return what each of what the batch was made of says, in that order, without gradients."""

    def losses(self, network: PreTrainedModel, batch: dict[str, Tensor]) -> list[Prediction]:
        """Return the loss of each row; what it says may be left out where that takes longer."""
        return self.predict(network, batch)

    def answer(
        self,
        fields: Fields,
        encoded: Sequence[Encoded],
        found: Sequence[Prediction],
        tokenizer: PreTrainedTokenizerBase,
    ) -> Prediction:
        """Return the answer to an example from what its rows say."""
        (only,) = found
        return only

    def in_raw_texts(self, directory: str | Path, examples: Sequence[Fields]) -> dict[str, tuple[set[Any], set[Any]]]:
        """Return for each raw text what the saved model finds in it and what its examples say is there.

        For heads that are told places in a text, and models that have learned beside to find these; others give none.
        """
        return {}

    def preview(self, encoded: Sequence[Sequence[Encoded]], tokenizer: PreTrainedTokenizerBase) -> str | None:
        """Return a page (HTML) that shows what is learned from some of the examples; None where there is none."""
        return None
