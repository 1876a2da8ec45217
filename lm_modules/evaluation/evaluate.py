"""Judging models side by side on the same held-out examples, and writing down what was found.

predictions/<model>.jsonl    id, group, reference, prediction, probability of every example
beside/<name>/               the same of what the models have learned beside
evaluation.json              scores with intervals, paired comparisons, the language model's bits per byte
other_split/                 the same predictions for a second split of the same data
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from configs.evaluation import EvaluationConfig, LanguageModelEvaluationConfig
from configs.promotion import UNTUNED
from lm_modules.data.documents import Example
from lm_modules.data.labelled_examples import BESIDE, beside, read_examples, read_head, read_labels
from lm_modules.data.personal import excerpt
from lm_modules.evaluation import baselines
from lm_modules.evaluation.confidence import interval, paired_difference
from lm_modules.evaluation.likelihood import bits_per_byte, xz_bits_per_byte
from lm_modules.evaluation.metrics import Metric
from lm_modules.evaluation.metrics.entity_f1 import EntityF1
from lm_modules.evaluation.predictions import predict_with_base, predict_with_directory, records
from lm_modules.evaluation.scores import statistics
from lm_modules.heads import Head
from lm_modules.model.stock import open_tokenizer

CHALLENGER = "tuned"
"""The model that is compared with all others."""

SURE = 0.9
"""Probability from which an answer that is not the label says something of the label."""
MOST_DOUBTS, EXCERPT_CHARACTERS = 20, 200

TITLES = {
    "majority": "Most frequent class",
    "mean": "Mean of the training scores",
    "tfidf": "TF-IDF with logistic regression",
    "frequent_tag": "Most frequent tag of each word",
    "nearest": "Answer to the most similar training example",
    "lead": "Beginning of the text itself",
    UNTUNED: "The base as it is, not fine-tuned",
    "random_weights": "Same architecture from random weights",
    "tuned": "Pretrained, then fine-tuned",
}

Record = Mapping[str, Any]
Models = Mapping[str, Path | None]


def evaluate(
    config: EvaluationConfig,
    *,
    data: Path | None,
    models: Models,
    output: Path,
    seed: int,
    other_data: Path | None = None,
    other_models: Models | None = None,
    language_model: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Judge `models` on the test split of `data`, write the evaluation directory, return what `evaluation.json` holds.

    `models` are stock directories by name; None under a name of `head.baselines` stands for that baseline, and
    `untuned` is the base of `tuned`, asked with the head of the data. `other_data` and `other_models` are a second
    split of the same data and what was trained on it. `language_model` is what
    `judge_language_model` found. Without labelled `data`, that is all there is to write.
    """
    found: dict[str, Any] = {
        "num_examples": 0,
        "num_groups": 0,
        "labels": [],
        "split_by": None,
        "models": {},
        "comparisons": [],
    }
    if data is not None:
        found = judge(config, data=data, models=models, output=output, seed=seed)
    found["beside"] = judge_beside(config, data=data, models=models, output=output, seed=seed) if data else {}
    found["other_split"] = None
    if other_data is not None and other_models:
        found["other_split"] = judge(
            config, data=other_data, models=other_models, output=output / "other_split", seed=seed
        )
    found["language_model"] = language_model
    output.mkdir(parents=True, exist_ok=True)
    (output / "evaluation.json").write_text(json.dumps(found, indent=2, ensure_ascii=False), encoding="utf-8")
    return found


def judge_beside(
    config: EvaluationConfig, *, data: Path, models: Models, output: Path, seed: int
) -> dict[str, dict[str, Any]]:
    """Judge what lies beside the models on what lies beside the data, by the metrics of each head; return it by name.

    It is compared with the baselines of its head, and with every model that learned it as well.
    """
    own_metrics = config.model_copy(update={"metrics": None})
    found = {}
    for name, each in beside(data).items():
        learned = {
            model: beside(directory)[name]
            for model, directory in models.items()
            if directory is not None and name in beside(directory)
        }
        judged = {**dict.fromkeys(read_head(each).baselines), **learned}
        found[name] = judge(own_metrics, data=each, models=judged, output=output / BESIDE / name, seed=seed)
    return found


def judge(config: EvaluationConfig, *, data: Path, models: Models, output: Path, seed: int) -> dict[str, Any]:
    """Write every model's predictions on the test split; return the scores and the comparisons."""
    examples, labels, head = read_examples(data, "test"), read_labels(data), read_head(data)
    metrics = config.metrics_for(head)
    answers, entries = {}, {}
    for name in models:
        started = time.perf_counter()
        answers[name] = _answers(name, models, data, head, examples)
        seconds = time.perf_counter() - started
        _write_records(output / "predictions" / f"{name}.jsonl", answers[name])
        scores = {metric.kind: score_with_interval(answers[name], metric, config, seed) for metric in metrics}
        entries[name] = {
            "title": TITLES.get(name, name),
            "metrics": scores,
            "seconds": round(seconds, 3),
            "raw_texts": judge_in_raw_texts(config, models[name], head, examples, seed),
        }
    challenger = answers.get(CHALLENGER)
    comparisons = [
        {
            "challenger": CHALLENGER,
            "baseline": name,
            **compare(
                challenger,
                baseline,
                metric,
                confidence=config.confidence,
                replicates=config.bootstrap_replicates,
                seed=seed,
            ),
        }
        for name, baseline in answers.items()
        for metric in metrics
        if challenger is not None and name != CHALLENGER
    ]
    return {
        "num_examples": len(examples),
        "num_groups": len({each.group or each.id for each in examples}),
        "labels": labels,
        "split_by": _split_by(data),
        "models": entries,
        "comparisons": comparisons,
        "doubted_labels": doubted_labels(head, examples, challenger or []),
    }


def judge_in_raw_texts(
    config: EvaluationConfig, directory: Path | None, head: Head, examples: Sequence[Example], seed: int
) -> dict[str, Any] | None:
    """Return how much of what a model finds in raw texts is right, and of what is there is found; None if it cannot.

    F1 is of all texts together, with its interval over them.
    """
    found = head.in_raw_texts(directory, [each.fields for each in examples]) if directory is not None else {}
    if not found:
        return None
    groups = {head.texts(each.fields)[0]: each for each in examples}
    records = [{"id": groups[text].id, "group": groups[text].group} for text in found]
    rows = np.array([[len(said & true), len(said), len(true)] for said, true in found.values()], dtype=np.float64)
    f1 = interval(
        EntityF1(),
        rows,
        _groups(records),
        confidence=config.confidence,
        replicates=config.bootstrap_replicates,
        seed=seed,
    )
    right, num_found, num_true = (int(each) for each in rows.sum(axis=0))
    return {"num_texts": len(rows), "right": right, "found": num_found, "true": num_true, "f1": asdict(f1)}


def doubted_labels(head: Head, examples: Sequence[Example], answers: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the examples to which a model confidently gives another label, the surest first, without personal data.

    Such disagreements are where wrong labels are found most often (Northcutt et al. 2021, arXiv 1911.00068).
    """
    texts = {each.id: head.text(each.fields) for each in examples if head.answers == "labels"}
    doubts = [
        each
        for each in answers
        if each["id"] in texts and each["prediction"] != each["reference"] and each["probability"] >= SURE
    ]
    return [
        {
            "id": each["id"],
            "excerpt": excerpt(texts[each["id"]], EXCERPT_CHARACTERS),
            **{name: _in_words(each[name]) for name in ("reference", "prediction")},
            "probability": each["probability"],
        }
        for each in sorted(doubts, key=lambda each: -each["probability"])[:MOST_DOUBTS]
    ]


def _in_words(answer: Any) -> str:
    return answer if isinstance(answer, str) else ", ".join(answer) or "none"


def compare(
    challenger: Sequence[Record],
    baseline: Sequence[Record],
    metric: Metric,
    *,
    confidence: float,
    replicates: int,
    seed: int,
) -> dict[str, Any]:
    """Return challenger minus baseline with its paired interval; `better` if the whole interval is on the good side.

    Both must be records of the same examples, in any order.
    """
    of_id = {each["id"]: each for each in baseline}
    if len(of_id) < len(baseline):
        raise ValueError("some records share an id, so that they cannot be paired; give every example an id of its own")
    if {each["id"]: each["reference"] for each in challenger} != {
        each["id"]: each["reference"] for each in baseline
    } or len(challenger) != len(baseline):
        raise ValueError("the records are of different examples or answers; evaluate both models on the same data")
    paired = [of_id[each["id"]] for each in challenger]
    labels = _labels([*challenger, *paired])
    difference = paired_difference(
        metric,
        _statistics(metric, challenger, labels),
        _statistics(metric, paired, labels),
        _groups(challenger),
        confidence=confidence,
        replicates=replicates,
        seed=seed,
    )
    return {
        "metric": metric.kind,
        "difference": difference.value,
        "low": difference.low,
        "high": difference.high,
        "confidence": confidence,
        "higher_is_better": metric.higher_is_better,
        "better": difference.low > 0 if metric.higher_is_better else difference.high < 0,
    }


def score_with_interval(
    answers: Sequence[Record], metric: Metric, config: EvaluationConfig, seed: int
) -> dict[str, float]:
    """Return value, low and high of a metric over the records of one model."""
    labels = _labels(answers)
    rows = _statistics(metric, answers, labels)
    return asdict(
        interval(
            metric,
            rows,
            _groups(answers),
            confidence=config.confidence,
            replicates=config.bootstrap_replicates,
            seed=seed,
        )
    )


def judge_language_model(config: LanguageModelEvaluationConfig, directory: Path, corpus: Path) -> dict[str, Any]:
    """Return bits per byte of a stock causal model on held-out documents, beside `xz -9` on the same text.

    The figures are those of the sources that the settings count, together; `by_source` has each source of the corpus
    on its own, the uncounted ones too.
    """
    texts = held_out_texts(corpus, config.characters)
    counted = [source for source in texts if config.counts(source)]
    if not counted:
        raise ValueError(
            f"evaluation.language_model.sources {list(config.sources or ())} name none of the sources with held-out "
            f"text: {', '.join(texts) or 'there is no such text; hold out more documents'}"
        )
    scores = {
        source: bits_per_byte(directory, some, overlap_fraction=config.overlap_fraction)
        for source, some in texts.items()
    }
    num_bytes = sum(scores[source]["num_bytes"] for source in counted)
    whole = {
        "bits_per_byte": sum(scores[each]["bits_per_byte"] * scores[each]["num_bytes"] for each in counted) / num_bytes,
        **{name: sum(scores[each][name] for each in counted) for name in ("num_bytes", "num_documents", "num_tokens")},
    }
    by_source = {source: _beside_xz(scores[source], some) for source, some in texts.items()}
    together = [text for source in counted for text in texts[source]]
    return {**_beside_xz(whole, together), "sources": counted, "by_source": by_source}


def _beside_xz(score: dict[str, float], texts: Sequence[str]) -> dict[str, float]:
    xz = xz_bits_per_byte(texts)
    return {**score, "xz_bits_per_byte": xz, "fraction_of_xz": score["bits_per_byte"] / xz}


def held_out_texts(corpus: Path, characters: int | None) -> dict[str, list[str]]:
    """Return, by source, whole documents from the start of the test split until they hold so many characters."""
    from lm_modules.data.corpus import read_corpus

    texts: dict[str, list[str]] = {}
    held: Counter[str] = Counter()
    for document in read_corpus(corpus, "test"):
        some = texts.setdefault(document.source, [])
        if characters is None or held[document.source] < characters:
            some.append(document.text)
            held[document.source] += len(document.text)
    return texts


def read_records(path: Path) -> list[dict[str, Any]]:
    """Return the records that `evaluate` wrote for one model."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _answers(name: str, models: Models, data: Path, head: Head, examples: Sequence[Example]) -> list[dict[str, Any]]:
    directory = models[name]
    if directory is not None and name == UNTUNED:
        read_at_most = open_tokenizer(str(models[CHALLENGER])).model_max_length  # both see as much of a text
        return records(head, examples, predict_with_base(directory, head, examples, read_at_most))
    if directory is not None:
        return records(head, examples, predict_with_directory(directory, examples))
    if name not in head.baselines:
        known = ", ".join(head.baselines) or "none"
        raise ValueError(f"no directory for the model {name!r}; computed from the data of {head.kind} are: {known}")
    return records(head, examples, getattr(baselines, name)(head, read_examples(data, "train"), examples))


def _labels(answers: Sequence[Record]) -> list[str]:
    """Return the labels among references and predictions, where these are labels or lists of them."""
    found: set[str] = set()
    for value in (each[key] for each in answers for key in ("reference", "prediction")):
        found.update(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    return sorted(found)


def _statistics(metric: Metric, answers: Sequence[Record], labels: Sequence[str]) -> Any:
    return statistics(metric, [each["prediction"] for each in answers], [each["reference"] for each in answers], labels)


def _groups(answers: Sequence[Record]) -> list[str] | None:
    """Return the group of every example, itself where it has none; None if no example has one."""
    if all(each["group"] is None for each in answers):
        return None
    return [f"example {each['id']}" if each["group"] is None else f"group {each['group']}" for each in answers]


def _write_records(path: Path, rows: Sequence[Record]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def _split_by(data: Path) -> str | None:
    report = data / "report.json"
    return json.loads(report.read_text(encoding="utf-8")).get("split_by") if report.is_file() else None
