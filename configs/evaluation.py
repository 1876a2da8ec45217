"""How models are judged: on which examples, by which metrics, with what confidence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from configs.base import Config
from configs.component import Component, OneOf, members


def metric_of_kind(kind: str) -> Component:
    """Return a metric with its defaults."""
    return members("lm_modules.evaluation.metrics")[kind](kind=kind)


def require_metrics_of(where: str, metrics: Sequence[Any], head: Any) -> None:
    """Raise a ValueError if a metric does not score what a head answers."""
    for metric in metrics:
        if metric is not None and head.answers not in metric.scores:
            family: dict[str, Any] = members("lm_modules.evaluation.metrics")
            fitting = ", ".join(kind for kind, each in family.items() if head.answers in each.scores)
            raise ValueError(
                f"{where}: {metric.kind} scores {' and '.join(metric.scores)}, and {head.kind} answers with "
                f"{head.answers}; choose among {fitting}"
            )


class LanguageModelEvaluationConfig(Config):
    """Bits per byte of the language model on held-out text."""

    model_config = ConfigDict(title="Language model")

    sources: tuple[str, ...] | None = None
    """Sources whose text makes the figure (`python_documentation/docstrings`, or `python_documentation` for all of its
    parts); the others are reported beside it. Null counts all."""
    characters: int | None = Field(default=500_000, ge=1)
    """Documents of each source are taken from the start of the test split until they hold this many characters; null
    takes all."""
    overlap_fraction: float = Field(default=0.5, ge=0, lt=1)
    """Part of each window that is context only, scored by the window before; more is slower and a little better."""

    def counts(self, source: str) -> bool:
        """Tell whether a source is part of the figure."""
        return self.sources is None or any(source == each or source.startswith(f"{each}/") for each in self.sources)


class EvaluationConfig(Config):
    """The comparison of models on the same held-out examples."""

    model_config = ConfigDict(title="Evaluation")

    metrics: tuple[Annotated[Any, OneOf("lm_modules.evaluation.metrics")], ...] | None = Field(
        default=None, min_length=1
    )
    """The metrics; comparisons between models use the first. Null takes those of the head."""
    confidence: float = Field(default=0.95, gt=0, lt=1)
    """Confidence of the intervals."""
    bootstrap_replicates: int = Field(default=2000, ge=100)
    """How often the examples are drawn anew for the intervals."""
    also_split_by: Literal["random"] | None = "random"
    """A second split to report beside the data's own, for those that know it; null reports one only."""
    language_model: LanguageModelEvaluationConfig | None = LanguageModelEvaluationConfig()
    """How the pretrained language model is scored on held-out text; null leaves it out."""

    def metrics_for(self, head: Any) -> tuple[Any, ...]:
        """Return the metrics, or those of a head where none are named."""
        return self.metrics if self.metrics is not None else tuple(map(metric_of_kind, head.metrics))
