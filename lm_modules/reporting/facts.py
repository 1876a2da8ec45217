"""What a report card shows: plain figures, gathered by the pipeline, drawn by `card.write_card`.

Every section is optional: a stage that did not run leaves its section out. The dictionaries (`data`, `tokenizer`,
`tokens`, `pretraining`) are the reports that the stages file, taken as they are.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict

Points = list[tuple[float, float]]
"""A curve: (step, value) in order of the step."""


class Facts(BaseModel):
    """Figures that cannot change; keys that the card does not show are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Stage(Facts):
    """One stage of the run."""

    name: str
    seconds: float
    reused: bool = False
    """Its result was already there, so nothing was computed."""
    run_id: str | None = None
    run_url: str | None = None
    figures: dict[str, Any] = {}


class Interval(Facts):
    """An estimate with its confidence interval."""

    value: float
    low: float
    high: float


class RawTextScore(Facts):
    """What a model finds in raw texts by itself, for example relations of entities that it finds as well."""

    num_texts: int
    right: int
    found: int
    true: int
    f1: Interval


class ModelScore(Facts):
    """One model on the held-out examples."""

    title: str
    metrics: dict[str, Interval]
    seconds: float | None = None
    raw_texts: RawTextScore | None = None


class Comparison(Facts):
    """A paired difference of two models on the same examples."""

    challenger: str
    baseline: str
    metric: str
    difference: float
    low: float
    high: float
    confidence: float = 0.95
    higher_is_better: bool = True
    better: bool

    @property
    def is_better(self) -> bool:
        """Whether the whole interval is on the good side."""
        return self.low > 0 if self.higher_is_better else self.high < 0

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval is on the bad side."""
        return self.excludes_zero and not self.is_better

    @property
    def excludes_zero(self) -> bool:
        """Whether zero lies outside the interval."""
        return self.low > 0 or self.high < 0


class SplitScore(Facts):
    """Every model on one held-out set."""

    num_examples: int
    num_groups: int = 0
    split_by: str | None = None
    labels: list[str] = []
    models: dict[str, ModelScore]
    comparisons: list[Comparison] = []


class TextScore(Facts):
    """Held-out text: the language model beside `xz -9`, in bits for each byte of UTF-8."""

    bits_per_byte: float
    xz_bits_per_byte: float
    num_bytes: int
    num_documents: int
    fraction_of_xz: float


class LanguageModelScore(TextScore):
    """The text that counts, and every source on its own."""

    sources: list[str] = []
    """The sources that count."""
    by_source: dict[str, TextScore] = {}


class EvaluationFacts(Facts):
    """The evaluation: either half may be absent."""

    num_examples: int | None = None
    num_groups: int = 0
    split_by: str | None = None
    labels: list[str] = []
    models: dict[str, ModelScore] = {}
    comparisons: list[Comparison] = []
    other_split: SplitScore | None = None
    beside: dict[str, SplitScore] = {}
    """What the models have learned beside, by name."""
    language_model: LanguageModelScore | None = None
    doubted_labels: list[dict[str, Any]] = []
    """Examples whose label the tuned model confidently contradicts: id, excerpt, reference, prediction, probability."""

    @property
    def split(self) -> SplitScore | None:
        """The scores on the labelled set, when there are any."""
        if not self.models:
            return None
        return SplitScore(
            num_examples=self.num_examples or 0,
            num_groups=self.num_groups,
            split_by=self.split_by,
            labels=self.labels,
            models=self.models,
            comparisons=self.comparisons,
        )


class TrialFacts(Facts):
    """One trial of a sweep."""

    number: int
    state: str
    """`completed`, `pruned`, `failed`, `continued` (another trial went on with it) or `running`."""
    value: float | None = None
    params: dict[str, Any] = {}
    """Hyperparameters: dotted path -> value."""
    curve: Points = []
    """What it reported."""
    seconds: float | None = None
    watt_hours: float | None = None
    run_url: str | None = None
    error: str | None = None
    repeat_of: int | None = None
    """The trial whose values this one repeats with another seed."""
    retry_of: int | None = None
    """The trial that was cut off, and that this one went on with."""


class SweepFacts(Facts):
    """A finished sweep."""

    metric: str
    higher_is_better: bool = True
    trials: list[TrialFacts]
    importance: dict[str, float] = {}
    """Share of the differences between trials that each hyperparameter explains."""
    why_no_importance: str | None = None
    """A sentence, where there were several trials and `importance` is empty."""
    best_number: int | None = None
    """The trial that won."""

    @property
    def best(self) -> TrialFacts | None:
        """The trial that won."""
        return next((trial for trial in self.trials if trial.number == self.best_number), None)

    @property
    def values_of_the_best(self) -> list[float]:
        """What the trial that won gave, and what it gave with other seeds."""
        won = [trial for trial in self.trials if self.best_number in (trial.number, trial.repeat_of)]
        return [trial.value for trial in won if trial.state == "completed" and trial.value is not None]


class VerdictFacts(Facts):
    """Whether `@champion` moved, and why."""

    decision: str
    """In a word or two: `promoted`, `kept`, ..."""
    reason: str
    name: str | None = None
    """The registered model."""
    version: str | None = None
    champion_before: str | None = None
    """Its version; null where there was none."""
    champion_after: str | None = None
    comparisons: list[Comparison] = []

    @property
    def promoted(self) -> bool:
        """Whether `@champion` is this version now."""
        return self.version is not None and self.champion_after == self.version


class Sample(Facts):
    """A text that the model wrote."""

    prompt: str
    text: str
    temperature: float | None = None
    seed: int | None = None


class Ancestor(Facts):
    """One thing that the run made or used, with the digests of what it was made from."""

    kind: str
    """`Corpus`, `Tokens`, `Model`, ..."""
    uri: str
    digest: str
    run_id: str | None = None
    parents: list[str] = []


class ReportFacts(Facts):
    """Everything on the card."""

    pipeline: str
    created: str
    """When the run ended, ISO 8601 with the time zone."""
    duration_seconds: float | None = None
    run_id: str | None = None
    run_url: str | None = None
    config_yaml: str | None = None
    environment: dict[str, Any] = {}
    stages: list[Stage] = []
    data: dict[str, Any] | None = None
    """`report.json` of the corpus."""
    tokenizer: dict[str, Any] | None = None
    tokens: dict[str, Any] | None = None
    """`meta.json` of the packed tokens."""
    pretraining: dict[str, Any] | None = None
    """What pretraining returned."""
    curves: dict[str, Points] = {}
    """Curves of pretraining by metric: `train/loss`, `validation/bits_per_byte`, `train/learning_rate`."""
    export: dict[str, Any] | None = None
    """The check of the exported model against the training graph."""
    labelled: dict[str, Any] | None = None
    """The report of the labelled data."""
    sweep: SweepFacts | None = None
    evaluation: EvaluationFacts | None = None
    verdict: VerdictFacts | None = None
    samples: list[Sample] = []
    lineage: list[Ancestor] = []
    """What was made from what, the earliest first."""
