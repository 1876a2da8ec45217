"""The nouns between the stages: small frozen references to what lies in MLflow.

An artifact says where a thing is (`uri`), what it is to the last byte (`digest`) and what it was made from (`parents`).
It can be passed to another machine; the thing itself is fetched there, once, by `local`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pydantic import BaseModel, ConfigDict

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed
from tasks.home import report_directory
from tasks.sweep_result import SweepResult

if TYPE_CHECKING:
    from tasks.logged_models import Service


class Artifact(BaseModel):
    """A reference to a directory that a stage filed."""

    model_config = ConfigDict(frozen=True)

    uri: str
    """Where it lies: `runs:/<run id>/<name>` or `models:/<model id>`."""
    digest: str
    """sha256 of its files; the key of the local cache."""
    run_id: str
    """The MLflow run that made it."""
    parents: tuple[str, ...] = ()
    """Digests of what it was made from."""
    facts: dict[str, Any] = {}
    """What its maker wants to tell at a glance: counts, losses, seconds."""

    def local(self) -> Path:
        """Return its directory on this machine, fetched if it is not here yet."""
        from tasks import filing, logged_models

        if self.uri.startswith("models:/"):
            return logged_models.fetch_model(self.uri, self.digest)
        return filing.fetch_directory(self.uri, self.digest)

    @classmethod
    def file(
        cls,
        directory: Path,
        *,
        run_id: str,
        name: str,
        parents: Iterable[Artifact] = (),
        facts: dict[str, Any] | None = None,
    ) -> Self:
        """File a directory under an MLflow run and return the reference to it."""
        from tasks import filing
        from tasks.digests import digest_directory

        digest = digest_directory(directory)
        uri = filing.log_directory(run_id, directory, name, digest)
        return cls(
            uri=uri, digest=digest, run_id=run_id, parents=tuple(each.digest for each in parents), facts=facts or {}
        )

    def used_by(self, run_id: str, *splits: str) -> None:
        """Note with an MLflow run that it used these splits of this data, so that all runs on it can be found."""
        from tasks import filing

        for each in splits:
            filing.log_dataset(run_id, f"{type(self).__name__.lower()}-{each}", self.digest, each, self.uri)

    def exists(self) -> bool:
        """Return whether MLflow still has it."""
        from tasks import filing

        return filing.exists(self.uri)


class Corpus(Artifact):
    """Cleaned documents in three splits, the ledger of drops and the data card."""


class Tokenizer(Artifact):
    """A stock Hugging Face tokenizer directory."""


class Tokens(Artifact):
    """The corpus as memory-mapped tokens."""


class Checkpoint(Artifact):
    """A training state of our engine."""


class Model(Artifact):
    """A stock Hugging Face model directory, logged as an MLflow model that answers when it is loaded or served."""

    @classmethod
    def log(
        cls,
        directory: Path,
        *,
        run_id: str,
        name: str,
        service: Service,
        parents: Iterable[Artifact] = (),
        facts: dict[str, Any] | None = None,
    ) -> Self:
        """Log a directory as an MLflow model under a run and return the reference to it."""
        from tasks import logged_models
        from tasks.digests import digest_directory

        digests = tuple(each.digest for each in parents)
        digest = digest_directory(directory)
        uri = logged_models.log_model(
            run_id, directory, name=name, service=service, tags={logged_models.DIGEST: digest}
        )
        return cls(uri=uri, digest=digest, run_id=run_id, parents=digests, facts=facts or {})


class Samples(Artifact):
    """Texts that a language model wrote."""


class CoordinateCheck(Artifact):
    """The picture and the numbers of a coordinate check; its facts are the verdicts."""

    def figures(self) -> dict[str, float | str]:
        """Return the figures that sum it up."""
        found: dict[str, float | str] = {}
        for kind, verdict in self.facts["verdicts"].items():
            found[f"steepest power of the width of {kind}"] = verdict["steepest_exponent"]
            found[f"lines of {kind} that move with the width"] = verdict["num_moving"]
            found[f"lines of {kind} that begin out of bounds"] = verdict["num_leaving"]
        return found

    def lines(self) -> list[str]:
        """Return what the command line says at the end."""
        return [*self.facts["words"], f"Picture: {self.local() / 'coordinate_check.png'}"]


class LabelledData(Artifact):
    """Labelled examples in three splits."""


class Evaluation(Artifact):
    """Predictions of every model on the same examples, figures and paired comparisons."""

    def figures(self) -> dict[str, float | str]:
        """Return the figures that sum it up."""
        found: dict[str, float | str] = {}
        for name, model in self.facts["models"].items():
            found |= {f"{metric} of {name}": score["value"] for metric, score in model["metrics"].items()}
            if raw := model.get("raw_texts"):
                found[f"f1_in_raw_texts of {name}"] = raw["f1"]["value"]
        for name, judged in self.facts.get("beside", {}).items():
            of_tuned = judged["models"].get("tuned", {"metrics": {}})
            found |= {f"beside/{name}/{metric}": score["value"] for metric, score in of_tuned["metrics"].items()}
        if language := self.facts["language_model"]:
            found |= {key.replace("_", " "): language[key] for key in ("bits_per_byte", "xz_bits_per_byte")}
        return found


class ReportCard(Artifact):
    """The report card as HTML and Markdown; its facts sum up each stage: MLflow run, uris and metrics."""

    def page(self) -> Path:
        """Return where the machine that wrote it keeps it."""
        return report_directory(self.run_id) / "report.html"

    def lines(self) -> list[str]:
        """Return what the command line says at the end."""
        return [f"Report: {self.page()}"]


class PreparedData(BaseModel):
    """What the stage `prepare` hands on."""

    model_config = ConfigDict(frozen=True)

    corpus: Corpus
    tokenizer: Tokenizer | None = None
    tokens: Tokens | None = None
    run_id: str | None = None
    """Of the stage itself, where its data card is; what was reused is of the run that made it."""

    def figures(self) -> dict[str, float | str]:
        """Return the figures that sum it up."""
        found: dict[str, float | str] = {each: self.corpus.facts[each] for each in ("documents", "characters")}
        if self.tokenizer:
            found["bytes per token"] = self.tokenizer.facts["bytes_per_token"]
        if self.tokens:
            found["training tokens"] = self.tokens.facts["splits"]["train"]["num_tokens"]
        return found


class Pretrained(BaseModel):
    """What the stage `pretrain` hands on."""

    model_config = ConfigDict(frozen=True)

    checkpoint: Checkpoint
    model: Model
    samples: Samples | None = None

    def figures(self) -> dict[str, float | str]:
        """Return the figures that sum it up."""
        trained, check = self.checkpoint.facts, self.model.facts
        bits, before = trained["validation_bits_per_byte"], trained.get("validation_loss_nats_before")
        passes = trained.get("passes_over_the_text")
        what = "parameters of the discriminator" if check["task"] == "token-classification" else "parameters"
        return {
            "validation loss": trained["validation_loss_nats"],
            **({"validation bits per byte": bits} if bits is not None else {}),
            **({"validation loss of the base": before, "begins with": trained["begins_with"]} if before else {}),
            what: check["num_parameters"],
            "steps": trained["steps"],
            **({"passes over the text": passes} if passes is not None else {}),
            "tokens per second": trained["tokens_per_second"],
            **({"MFU": f"{trained['mfu']:.1%}"} if trained.get("mfu") else {}),
            "largest logit difference of the export": check["max_logit_difference"],
        }


def utilization(trained: dict[str, Any]) -> str | None:
    """Return what the model FLOPs utilization of a checkpoint's facts is made of; None where it is not known."""
    if not trained.get("mfu"):
        return None
    return (
        f"MFU {trained['mfu']:.1%} = tokens per second x {trained['flops_per_token'] / 1e6:,.4g} MFLOP "
        f"({trained['flops_formula']}) / (devices x {trained['peak_teraflops_per_second']:,.3g} TFLOP/s, "
        f"{trained['peak_source']})"
    )


TOLD = ("trained_parameters", "parameters", "cut_examples", "examples_without_fitting_answer")
"""What a training says of the size of its model, and of examples that are too long for it."""


class Finetuned(BaseModel):
    """What the stage `finetune` hands on: the winner of the sweep, and what it started from."""

    model_config = ConfigDict(frozen=True)

    model: Model
    data: LabelledData
    base: Model
    """The model that was tuned."""
    values: dict[str, Any]
    """The winner's hyperparameters: dotted path -> value."""
    sweep: SweepResult

    def settings(self, config: FinetuningConfig) -> FinetuningConfig:
        """Return the settings of one fine-tuning with the winner's values; how they were found is no part of them."""
        return fixed(config, self.values).without_budget()

    def figures(self) -> dict[str, float | str]:
        """Return the figures that sum it up."""
        best = self.sweep.winner
        assert best is not None
        assert best.value is not None
        seeds = self.sweep.values_of_seeds(best)
        trained = {each.replace("_", " "): best.result[each] for each in TOLD if each in best.result}
        return {
            self.sweep.metric: best.value,
            **({"mean over seeds": sum(seeds) / len(seeds)} if len(seeds) > 1 else {}),
            "best trial": best.number,
            "trials": len({each.first for each in self.sweep.trials}),
            "pruned": sum(each.state == "pruned" for each in self.sweep.trials),
            "device seconds": round(sum((each.seconds or 0.0) * each.devices for each in self.sweep.trials), 1),
            "kilowatt hours": sum(each.kilowatt_hours or 0.0 for each in self.sweep.trials),
            **trained,
        }


class Verdict(BaseModel):
    """What the stage `promote` decided, and why."""

    model_config = ConfigDict(frozen=True)

    registered_name: str
    version: str
    alias: str
    """`champion` or `challenger`."""
    promoted: bool
    reason: str
    comparisons: tuple[dict[str, Any], ...] = ()
    champion_before: str | None = None
    """Version that counted when the decision was taken."""
    champion_after: str | None = None

    def figures(self) -> dict[str, float | str]:
        """Return what sums it up."""
        return {"decision": f"{self.registered_name} version {self.version} is @{self.alias}", "reason": self.reason}


def artifacts_in(value: Any) -> Iterable[Artifact]:
    """Yield every artifact inside a model, mapping or sequence."""
    if isinstance(value, Artifact):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from artifacts_in(getattr(value, name))
    elif isinstance(value, dict):
        for each in value.values():
            yield from artifacts_in(each)
    elif isinstance(value, list | tuple):
        for each in value:
            yield from artifacts_in(each)
