"""A run with every section, as the pipeline would hand it over."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lm_modules.reporting.facts import ReportFacts


def _score(value: float, half: float) -> dict[str, float]:
    return {"value": value, "low": max(0.0, value - half), "high": value + half}


RAW_TEXTS = {"num_texts": 700, "right": 123, "found": 456, "true": 234, "f1": {"value": 0.357, "low": 0.3, "high": 0.4}}


def _models(shift: float) -> dict[str, Any]:
    values = {"majority": 0.01, "tfidf": 0.66, "random_weights": 0.35, "tuned": 0.61}
    titles = {
        "majority": "Majority class",
        "tfidf": "TF-IDF with logistic regression",
        "random_weights": "Same architecture, random weights",
        "tuned": "Tuned pretrained model",
    }
    return {
        name: {
            "title": titles[name],
            "metrics": {"macro_f1": _score(value + shift, 0.03), "accuracy": _score(value + shift + 0.02, 0.025)},
            "seconds": 4.2,
        }
        for name, value in values.items()
    }


def _comparison(baseline: str, difference: float) -> dict[str, Any]:
    return {
        "challenger": "tuned",
        "baseline": baseline,
        "metric": "macro_f1",
        "difference": difference,
        "low": difference - 0.03,
        "high": difference + 0.03,
        "confidence": 0.95,
        "better": difference > 0.03,
    }


def _trial(number: int, state: str, value: float | None) -> dict[str, Any]:
    steps = [(step, (value or 0.3) * (1 - math.exp(-step / 60))) for step in range(20, 60 + 40 * number, 20)]
    params = {"optimization.learning_rate": 3.1e-4 * (number + 1), "optimization.epochs": 4, "adapter": "lora"}
    error = "Loss is not finite at step 40" if state == "failed" else None
    return {
        "number": number,
        "state": state,
        "value": value,
        "params": params,
        "curve": steps,
        "seconds": 31.0,
        "error": error,
        "run_url": "http://127.0.0.1:5000/#/experiments/1/runs/abc",
    }


@pytest.fixture
def values() -> dict[str, Any]:
    """The facts as plain JSON values."""
    steps = range(10, 401, 10)
    comparisons = [_comparison("majority", 0.6), _comparison("tfidf", -0.05), _comparison("random_weights", 0.26)]
    stages = [
        ("prepare", 21.4, True),
        ("pretrain", 240.0, False),
        ("finetune", 200.5, False),
        ("evaluate", 18.0, False),
    ]
    return {
        "pipeline": "demo",
        "created": "2026-11-22T16:05:00+00:00",
        "duration_seconds": 482.0,
        "run_id": "0123456789abcdef",
        "run_url": "http://127.0.0.1:5000/#/experiments/1/runs/0123456789abcdef",
        "config_yaml": "name: demo\nseed: 0\n",
        "environment": {"cpu": "AMD EPYC", "cores": 2, "python": "3.11.7", "versions": {"torch": "2.13.0"}},
        "stages": [
            {"name": name, "seconds": seconds, "reused": reused, "run_id": "r", "figures": {"num_documents": 6512}}
            for name, seconds, reused in stages
        ],
        "data": {
            "fingerprint": "f1" * 32,
            "documents": 6512,
            "characters": 11_800_000,
            "bytes": 11_812_345,
            "sources": {
                "python/docstrings": {"documents_in": 7000, "documents_out": 5400, "characters_out": 4_300_000},
                "python/reference": {"documents_in": 1200, "documents_out": 1112, "characters_out": 7_500_000},
            },
            "steps": [
                {
                    "step": "read",
                    "documents_in": 8203,
                    "documents_out": 8200,
                    "characters_in": 12_900_000,
                    "characters_out": 12_890_000,
                    "modified": 0,
                    "reasons": {"line 17 is not JSON": 3},
                },
                {
                    "step": "unicode",
                    "documents_in": 8200,
                    "documents_out": 8200,
                    "characters_in": 12_890_000,
                    "characters_out": 12_888_000,
                    "modified": 41,
                    "reasons": {},
                },
                {
                    "step": "length",
                    "documents_in": 8200,
                    "documents_out": 6600,
                    "characters_in": 12_888_000,
                    "characters_out": 11_900_000,
                    "modified": 0,
                    "reasons": {"fewer than 5 words": 1600},
                },
                {
                    "step": "exact",
                    "documents_in": 6600,
                    "documents_out": 6512,
                    "characters_in": 11_900_000,
                    "characters_out": 11_800_000,
                    "modified": 0,
                    "reasons": {"copy of an earlier document": 88},
                },
            ],
            "lengths": {
                "characters": {"p1": 40, "p10": 120, "p25": 270, "p50": 620, "p75": 1700, "p99": 12_000},
                "words": {"p1": 6, "p50": 90, "p99": 1700},
            },
            "warnings": ["length drops 20 % of the documents"],
            "ledger_lines": 1691,
            "interpreter": "CPython 3.11.7",
        },
        "tokenizer": {
            "kind": "byte_bpe",
            "vocabulary_size": 4096,
            "bytes_per_token": 3.61,
            "tokenizer_digest": "d1" * 32,
        },
        "tokens": {
            "dtype": "<u2",
            "vocab_size": 4096,
            "splits": {
                "train": {"num_tokens": 3_000_000, "num_documents": 6200, "num_bytes": 10_800_000},
                "test": {"num_tokens": 0, "num_documents": 0, "num_bytes": 0},
            },
        },
        "pretraining": {"num_parameters": 5_300_000, "validation_bits_per_byte": 1.873},
        "curves": {
            "train/loss": [(step, 2.2 + 6 * math.exp(-step / 60)) for step in steps],
            "validation/bits_per_byte": [(step, 1.8 + 2 * math.exp(-step / 80)) for step in steps],
            "train/learning_rate": [(step, min(step / 40, 1.0, (400 - step) / 120)) for step in steps],
        },
        "export": {"largest_difference": 4.1e-6, "tolerance": 1e-4},
        "labelled": {
            "splits": {"train": 2100, "validation": 300, "test": 812},
            "num_labels": 3,
            "split_by": "given",
            "dropped": {"copy of an example in test": 7},
            "left_out": {"class that cannot be parted by module": 40},
            "shared_groups": {"train and test": 2, "train and validation": 0},
            "labels": {
                "text": {"train": 1500, "validation": 200, "test": 500},
                "files": {"train": 598, "validation": 99, "test": 311},
                "network": {"train": 2, "validation": 1, "test": 1},
            },
        },
        "sweep": {
            "metric": "validation/macro_f1",
            "direction": "maximize",
            "trials": [
                _trial(0, "completed", 0.58),
                _trial(1, "pruned", 0.41),
                _trial(2, "failed", None),
                _trial(3, "completed", 0.62),
            ],
            "importance": {"optimization.learning_rate": 0.71, "adapter": 0.29},
            "best_number": 3,
        },
        "evaluation": {
            "num_examples": 812,
            "labels": ["text", "files", "network"],
            "split_by": "group",
            "models": {**_models(0.0), "tuned": {**_models(0.0)["tuned"], "raw_texts": RAW_TEXTS}},
            "comparisons": comparisons,
            "doubted_labels": [
                {
                    "id": "a.csv:7",
                    "excerpt": "Open a socket & <wait>",
                    "reference": "files",
                    "prediction": "network",
                    "probability": 0.987,
                }
            ],
            "other_split": {"num_examples": 900, "labels": ["text"], "split_by": "random", "models": _models(0.2)},
            "language_model": {
                "bits_per_byte": 1.903,
                "xz_bits_per_byte": 1.951,
                "num_bytes": 1_000_400,
                "num_documents": 311,
                "fraction_of_xz": 1.903 / 1.951,
            },
        },
        "verdict": {
            "decision": "promoted",
            "reason": "No champion yet; macro-F1 is better than each of the pre-declared baselines.",
            "name": "python-topics",
            "version": "1",
            "champion_before": None,
            "champion_after": "1",
            "comparisons": [comparisons[0], comparisons[2]],
        },
        "samples": [{"prompt": "def read(", "text": "self, size):\n    return self", "temperature": 0.8, "seed": 0}],
        "lineage": [
            {"kind": "Corpus", "uri": "runs:/a/corpus", "digest": "c0" * 32, "parents": []},
            {"kind": "Tokens", "uri": "runs:/a/tokens", "digest": "70" * 32, "parents": ["c0" * 32]},
        ],
    }


@pytest.fixture
def facts(values: dict[str, Any]) -> ReportFacts:
    """The facts as the card takes them."""
    return ReportFacts.model_validate(values)
