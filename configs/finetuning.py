"""How a pretrained model is taught a task: which model, which labelled data, what is tuned and searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, TypeAdapter, field_validator, model_validator

from configs.base import Config
from configs.beside import BesideConfig, require_fields, require_names
from configs.component import OneOf
from configs.compute import FinetuningComputeConfig
from configs.searchable import require_searchable
from configs.tuning import Choice, Range, TuningConfig

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, lt=1)]


class FinetuningOptimizationConfig(Config):
    """AdamW with a short warmup, a linear decay to zero, and smaller steps for the layers near the input."""

    model_config = ConfigDict(title="Optimization of the fine-tuning")

    learning_rate: Positive | Range | Choice = Range(low=1.5e-4, high=1.5e-3, log=True)
    """Highest learning rate, that of the head; a range is searched."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | Range | Choice = Range(low=0.85, high=1.0)
    """Each block learns at this times the rate of the block above it, the embedding last; 1 treats all alike."""
    epochs: Annotated[int, Field(ge=1)] | Range | Choice = Range(low=2, high=4, integer=True)
    """How often the training examples are seen."""
    batch_examples: Annotated[int, Field(ge=1)] | Range | Choice = 32
    """Examples in the batch of one optimizer step."""
    micro_batch_examples: int | None = Field(default=None, ge=1)
    """Examples that are in memory at once: their gradients are added up to those of a batch. Null takes the whole
    batch, or what is found to fit where memory ends."""
    weight_decay: Annotated[float, Field(ge=0)] | Range | Choice = 0.01
    """Decoupled weight decay of the matrices; biases and gains have none."""
    warmup_fraction: Fraction | Range | Choice = 0.1
    """Part of the steps in which the learning rate rises from zero."""
    label_smoothing: Fraction | Range | Choice = 0.0
    """Part of the target that is spread over all labels."""
    class_weights: Literal["equal", "balanced"] = "equal"
    """What the labels count in the loss: as often as they come, or all the same together, for labels that are rare."""
    clip_norm: Positive | None = 1.0
    """Longest gradient, by the 2-norm over all parameters; null does not clip."""
    evaluations_per_epoch: int = Field(default=2, ge=1)
    """How often in an epoch the validation split is scored, reported and a checkpoint written; there are more of these,
    see compute.checkpoint_every_minutes."""
    validation_answers: int | None = Field(default=200, ge=1)
    """Validation examples, always the same ones, that a head which writes (seq2seq) answers at an evaluation: writing
    takes long. `validation/loss` is of all examples. Null answers all; heads that do not write always do."""
    early_stopping_patience: int | None = Field(default=4, ge=1)
    """Training ends after this many evaluations in a row without a better one; null never does."""


class FinetuningConfig(Config):
    """One fine-tuning, or a sweep over what is left open in it."""

    model_config = ConfigDict(title="Fine-tuning")

    base: str | None = None
    """A model directory, an MLflow uri or a Hugging Face name; null takes the model that this pipeline pretrained."""
    data: Annotated[Any, OneOf("lm_modules.data.labelled")] = "python_topics"
    """The labelled examples."""
    head: Annotated[Any, OneOf("lm_modules.heads")] = "sequence_classification"
    """What the model is asked to produce."""
    beside: dict[str, BesideConfig] = Field(default={})
    """Other heads that are learned on the same weights, each from data of its own, by a name of your own."""
    adapter: Choice | Annotated[Any, OneOf("lm_modules.adapters")] = "full"
    """Which weights are trained; `{choices: [full, lora]}` lets the sweep decide."""
    dropout: Fraction | Range | Choice = Range(low=0.0, high=0.3)
    """Part of the activations that is dropped in training, in every block and before the head."""
    context_length: int = Field(default=256, ge=8)
    """Longest example in tokens; what is longer is cut off at its end."""
    optimization: FinetuningOptimizationConfig = FinetuningOptimizationConfig()
    """How it learns."""
    compute: FinetuningComputeConfig = FinetuningComputeConfig()
    """What each training, hence each trial, computes with."""
    tuning: TuningConfig = TuningConfig()
    """How the sweep chooses among what is left open."""

    def without_budget(self) -> Self:
        """Return one fine-tuning's settings: of the sweep only its metric, by which the best weights are kept."""
        return self.model_copy(update={"tuning": TuningConfig(metric=self.tuning.metric)})

    def with_threads(self, threads: int) -> Self:
        """Return the settings with so many threads for each process that trains, where they leave that open."""
        compute = self.compute.model_copy(update={"threads": self.compute.threads or threads})
        return self.model_copy(update={"compute": compute})

    @field_validator("beside")
    @classmethod
    def _in_one_order(cls, value: dict[str, BesideConfig]) -> dict[str, BesideConfig]:
        """Sort by name: databases do not keep the order, on which what is drawn and who keeps a text depend."""
        return dict(sorted(value.items()))

    @field_validator("adapter")
    @classmethod
    def _known_adapters(cls, value: Any) -> Any:
        if not isinstance(value, Choice):
            return value
        of_family: Any = TypeAdapter(Annotated[Any, OneOf("lm_modules.adapters")])
        return value.model_copy(update={"choices": tuple(map(of_family.validate_python, value.choices))})

    @property
    def heads(self) -> tuple[Any, ...]:
        """The head that the model is trained for, and those beside it."""
        return (self.head, *(each.head for each in self.beside.values()))

    @property
    def _kinds(self) -> str:
        return " and ".join(dict.fromkeys(head.kind for head in self.heads))

    @model_validator(mode="after")
    def _labels_can_be_weighed(self) -> Self:
        if self.optimization.class_weights != "equal" and not any(head.weighs_labels for head in self.heads):
            raise ValueError(
                f"optimization.class_weights has no effect on {self._kinds}, which has no labels; set it to equal"
            )
        return self

    @model_validator(mode="after")
    def _labels_can_be_smoothed(self) -> Self:
        if self.optimization.label_smoothing != 0 and not any(head.smooths_labels for head in self.heads):
            raise ValueError(
                f"optimization.label_smoothing has no effect on {self._kinds}, which has no labels; set it to 0"
            )
        return self

    @model_validator(mode="after")
    def _leaves_room_for_the_source(self) -> Self:
        for where, head in {"head": self.head, **{f"beside.{k}.head": v.head for k, v in self.beside.items()}}.items():
            if (answer := getattr(head, "max_new_tokens", 0)) >= self.context_length:
                raise ValueError(
                    f"{where}.max_new_tokens {answer} leaves nothing of context_length {self.context_length} for the "
                    f"source; raise context_length, or lower {where}.max_new_tokens"
                )
        return self

    @model_validator(mode="after")
    def _answers_are_written(self) -> Self:
        default = FinetuningOptimizationConfig.model_fields["validation_answers"].default
        if self.optimization.validation_answers != default and not any(head.writes for head in self.heads):
            raise ValueError(
                f"optimization.validation_answers {self.optimization.validation_answers} has no effect: "
                f"{self._kinds} answers all validation examples in one go; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _knows_its_metric(self) -> Self:
        if self.tuning.metric is None:
            metric = f"validation/{self.head.tuned_by or self.head.metrics[0]}"
            object.__setattr__(self, "tuning", self.tuning.model_copy(update={"metric": metric}))
        return self

    @model_validator(mode="after")
    def _metric_is_reported(self) -> Self:
        reported = [f"validation/{each}" for each in (*self.head.metrics, "loss")]
        if self.tuning.metric not in reported:
            raise ValueError(
                f"tuning.metric {self.tuning.metric} is reported by no training of {self.head.kind}; "
                f"choose among {', '.join(reported)}"
            )
        return self

    @model_validator(mode="after")
    def _data_has_the_fields(self) -> Self:
        require_fields("finetuning", self.head, self.data)
        for name, each in self.beside.items():
            require_fields(f"finetuning.beside.{name}", each.head, each.data)
        return self

    @model_validator(mode="after")
    def _besides_can_be_named(self) -> Self:
        require_names(self.beside)
        return self

    @model_validator(mode="after")
    def _searchable(self) -> Self:
        require_searchable(self)
        return self

    def of_beside(self, name: str) -> Self:
        """Return the settings by which one of the others is trained: all but head and data are the same."""
        other = self.beside[name]
        batch = {"batch_examples": other.batch_examples or self.optimization.batch_examples}
        optimization = self.optimization.model_copy(update=batch)
        return self.model_copy(
            update={"head": other.head, "data": other.data, "optimization": optimization, "beside": {}}
        )
