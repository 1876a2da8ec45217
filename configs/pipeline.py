"""The whole road in one file: a section a stage; a stage without its section is skipped."""

from __future__ import annotations

from itertools import product
from typing import Any

from pydantic import ConfigDict, Field, ValidationError, model_validator

from configs.base import Config
from configs.data_preparation import DataPreparationConfig
from configs.evaluation import EvaluationConfig, require_metrics_of
from configs.finetuning import FinetuningConfig
from configs.loading import resolve
from configs.pretraining import PretrainingConfig
from configs.promotion import PromotionConfig
from configs.schedule import ScheduleConfig
from configs.size import with_size
from configs.tokenization import TokenizationConfig


def _vocabulary_size(values: dict[str, Any]) -> int | None:
    """Return how many tokens there will be; None if that is not said, or not understood."""
    try:
        tokenization = TokenizationConfig.model_validate(values.get("tokenization"))
    except ValidationError:
        return None
    return getattr(tokenization.tokenizer, "vocabulary_size", None)


class PipelineConfig(Config):
    """From raw text to a promoted model."""

    model_config = ConfigDict(title="Pipeline")

    extends: str | tuple[str, ...] | None = None
    """A preset or a file that gives everything not said here, or several, of which the last stands over the others."""
    name: str = Field(default="pipeline", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    """What runs of this are called: the MLflow experiment and the Prefect runs."""
    seed: int = Field(default=0, ge=0)
    """Decides the split, the order of the batches, the first weights and the search."""
    schedule: ScheduleConfig | None = None
    """When the deployment of this configuration runs by itself; used where deployments are served."""
    data_preparation: DataPreparationConfig | None = None
    """Raw text to a corpus."""
    tokenization: TokenizationConfig | None = None
    """The corpus to a tokenizer and tokens."""
    pretraining: PretrainingConfig | None = None
    """Tokens to a language model."""
    finetuning: FinetuningConfig | None = None
    """A language model to one that does a task, by a sweep."""
    evaluation: EvaluationConfig | None = None
    """Figures on held-out examples, beside baselines."""
    promotion: PromotionConfig | None = None
    """Whether the tuned model becomes the champion."""

    @model_validator(mode="before")
    @classmethod
    def _resolve_extends_and_size(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("extends") is not None:
            values = resolve(values)
        if isinstance(values, dict) and isinstance(values.get("pretraining"), dict):
            return {**values, "pretraining": with_size(values["pretraining"], _vocabulary_size(values))}
        return values

    @model_validator(mode="after")
    def _stages_have_their_input(self) -> PipelineConfig:
        needs = {
            "tokenization": self.data_preparation,
            "pretraining": self.data_preparation and self.tokenization,
            "evaluation": self.finetuning or self.pretraining,
            "promotion": self.finetuning and self.evaluation,
        }
        wanted = {
            "tokenization": "data_preparation",
            "pretraining": "data_preparation and tokenization",
            "evaluation": "finetuning or pretraining",
            "promotion": "finetuning and evaluation",
        }
        for stage, given in needs.items():
            if getattr(self, stage) is not None and given is None:
                raise ValueError(f"{stage} needs {wanted[stage]}; add that section or set {stage} to null")
        language_model = self.evaluation and self.evaluation.language_model
        if self.data_preparation and language_model:
            self.data_preparation.require_sources(language_model.sources or (), "evaluation.language_model.sources")
        if self.data_preparation and self.tokenization and self.tokenization.mixing.source_weights:
            weights = self.tokenization.mixing.source_weights
            self.data_preparation.require_sources(weights, "tokenization.mixing.source_weights")
            names = [name for source in self.data_preparation.sources for name in source.names()]
            if without := sorted(
                {name for name in names if not any(f"{name}/".startswith(f"{each}/") for each in weights)}
            ):
                raise ValueError(
                    f"tokenization.mixing.source_weights has no weight for {', '.join(without)}; give every source one"
                )
        if self.data_preparation and self.pretraining:
            for stream in self.pretraining.objective.streams(self.pretraining.model.context_length):
                where = f"pretraining.objective.parts.{stream.name}.sources"
                self.data_preparation.require_sources(stream.sources or (), where)
        if self.pretraining and language_model and not self.pretraining.objective.continues_text:
            raise ValueError(
                f"evaluation.language_model measures bits per byte, which {self.pretraining.objective.kind} does not "
                "give; set evaluation.language_model to null"
            )
        if self.finetuning and self.promotion:
            self.promotion.require_known_baselines(self.finetuning.head)
            require_metrics_of("promotion.metric", [self.promotion.metric], self.finetuning.head)
        if self.finetuning and self.evaluation:
            require_metrics_of("evaluation.metrics", self.evaluation.metrics or (), self.finetuning.head)
        if self.finetuning and not self.pretraining and not self.finetuning.base:
            raise ValueError("finetuning needs a model: add pretraining, or set finetuning.base to a directory or uri")
        return self

    @model_validator(mode="after")
    def _a_base_brings_its_tokenizer(self) -> PipelineConfig:
        taken = self.tokenization is not None and self.tokenization.tokenizer.kind == "pretrained"
        if taken and not self.tokenizer_base:
            raise ValueError(
                "tokenization.tokenizer is taken from a model, and none is named; set its base, or pretraining.base"
            )
        if self.pretraining and self.pretraining.base and not taken:
            raise ValueError(
                "pretraining.base reads the tokens of its own tokenizer; set tokenization.tokenizer to pretrained"
            )
        return self

    @model_validator(mode="after")
    def _padding_is_not_read(self) -> PipelineConfig:
        packing = self.tokenization.packing.kind if self.tokenization else "concatenate"
        if packing != "concatenate" and self.pretraining and not self.pretraining.objective.reads_padding:
            raise ValueError(
                f"tokenization.packing {packing} fills rows up with padding, which {self.pretraining.objective.kind} "
                "would read; set it to concatenate"
            )
        return self

    @property
    def tokenizer_base(self) -> str | None:
        """The model whose tokenizer is taken over; None where one is trained."""
        if self.tokenization is None or self.tokenization.tokenizer.kind != "pretrained":
            return None
        return self.tokenization.tokenizer.base or (self.pretraining.base if self.pretraining else None)

    @model_validator(mode="after")
    def _held_out_text_is_there(self) -> PipelineConfig:
        scored = self.evaluation and self.evaluation.language_model
        for split, reader, wanted in (
            ("validation", "pretraining", self.pretraining),
            ("test", "evaluation.language_model", self.pretraining and scored),
        ):
            field = f"{split}_fraction"
            if self.data_preparation and wanted and not getattr(self.data_preparation.split, field):
                raise ValueError(
                    f"data_preparation.split.{field} is 0, and {reader} needs {split} text; "
                    f"leave {field} out or raise it, or set {reader} to null"
                )
        return self

    @model_validator(mode="after")
    def _pretraining_leaves_out_the_labelled_test(self) -> PipelineConfig:
        """Both `python_documentation` and `python_topics` hold out the modules that their seed chooses."""
        labelled = {}
        if self.finetuning:
            others = self.finetuning.beside.items()
            labelled = {"data": self.finetuning.data, **{f"beside.{name}.data": each.data for name, each in others}}
        sources = self.data_preparation.sources if self.data_preparation else ()
        for (index, source), (where, data) in product(enumerate(sources), labelled.items()):
            if source.kind != "python_documentation" or data.kind != "python_topics":
                continue
            if source.held_out_seed != data.held_out_seed:
                raise ValueError(
                    f"data_preparation.sources.{index}.held_out_seed {source.held_out_seed} and "
                    f"finetuning.{where}.held_out_seed {data.held_out_seed} choose different modules, so the language "
                    "model would be trained on modules of the labelled test; give both the same number"
                )
        return self
