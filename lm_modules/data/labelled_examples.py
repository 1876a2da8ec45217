"""Reading a directory of labelled examples: a JSONL file for each split, `labels.json` and `head.json`."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from configs.component import members
from lm_modules.data.documents import SPLITS, Example
from lm_modules.heads import Head

BESIDE = "beside"
"""The folder of what is learned beside, in a labelled directory and in that of a model, each under its name."""


def read_examples(directory: Path, split: str) -> list[Example]:
    """Return the examples of a split, in the order of the file."""
    path = directory / f"{split}.jsonl"
    if not path.is_file():
        raise ValueError(
            f"{path} is missing; a labelled data directory holds {', '.join(f'{s}.jsonl' for s in SPLITS)}"
        )
    with path.open(encoding="utf-8") as lines:
        return [_example(json.loads(line), split) for line in lines]


def _example(row: dict[str, Any], split: str) -> Example:
    fields = {name: value for name, value in row.items() if name not in ("id", "group")}
    return Example(row["id"], fields, row.get("group"), split)


def read_labels(directory: Path) -> list[str]:
    """Return the labels in their order; the number of a label is its place in it."""
    return json.loads((directory / "labels.json").read_text(encoding="utf-8"))


def fingerprint(directory: Path) -> str:
    """Return the sha256 of what training sees: both its splits and the labels, and what is learned beside."""
    digest = hashlib.sha256()
    for name in ("train.jsonl", "validation.jsonl", "labels.json"):
        digest.update((directory / name).read_bytes())
    for name, other in beside(directory).items():
        digest.update(f"{name} {fingerprint(other)}".encode())
    return digest.hexdigest()


def beside(directory: str | Path) -> dict[str, Path]:
    """Return by name what lies beside the labelled set, or the model, in a directory: others of its kind."""
    folder = Path(directory) / BESIDE
    return {each.name: each for each in sorted(folder.iterdir())} if folder.is_dir() else {}


def read_head(directory: str | Path) -> Head:
    """Return the head of the examples, or of the model, in a directory.

    A directory from elsewhere, without `head.json`, is taken for a classifier of texts.
    """
    path = Path(directory) / "head.json"
    settings = json.loads(path.read_text()) if path.is_file() else {"kind": "sequence_classification"}
    return members("lm_modules.heads")[settings["kind"]].model_validate(settings)  # type: ignore[return-value]
