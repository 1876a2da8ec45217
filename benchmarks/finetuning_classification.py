"""Sentence polarity (Pang and Lee 2005) by Rootstock and by the Trainer, on the same tiny BERT.

    python benchmarks/finetuning_classification.py FOLDER [--seeds 3] [--epochs 3] [--grouped] [--threads 2] [--check]

FOLDER holds rt-polarity.pos and rt-polarity.neg. Of every ten sentences one is for validation and two are for the test.
The base has random weights and a tokenizer of the training text: what is compared is how both learn. The Trainer's side
is as in the examples of `transformers` (run_glue.py), with `DataCollatorWithPadding` and scikit-learn's macro-F1, which
is of the test split.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces, parser, show
from tiny_bases import save_encoder, write_labelled


def read(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """Return the sentences with their labels, by split."""
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "validation": [], "test": []}
    for label, name in (("negative", "rt-polarity.neg"), ("positive", "rt-polarity.pos")):
        for number, line in enumerate((folder / name).read_text(encoding="utf-8").splitlines()):
            split = {0: "validation", 1: "test", 2: "test"}.get(number % 10, "train")
            splits[split].append({"text": line.strip(), "label": label})
    return splits


def pieces(contest: Contest, splits: Mapping[str, list[dict[str, Any]]]) -> Pieces:
    """Return what a user of the Trainer writes for classes of texts."""
    import numpy as np
    from datasets import Dataset
    from sklearn.metrics import f1_score
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    labels = sorted({row["label"] for row in splits["train"]})
    tokenizer = AutoTokenizer.from_pretrained(contest.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        contest.base,
        num_labels=len(labels),
        hidden_dropout_prob=contest.dropout,
        attention_probs_dropout_prob=contest.dropout,
    )

    def encoded(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=contest.context_length)

    def compute_metrics(answers: Any) -> dict[str, float]:
        best = np.argmax(answers.predictions, axis=-1)
        return {"macro_f1": float(f1_score(answers[1], best, average="macro"))}

    return Pieces(
        model=model,
        tokenizer=tokenizer,
        datasets={
            split: Dataset.from_list([{"text": row["text"], "labels": labels.index(row["label"])} for row in rows]).map(
                encoded, batched=True, remove_columns=["text"]
            )
            for split, rows in splits.items()
        },
        collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=compute_metrics,
    )


def main() -> None:
    options = parser(__doc__).parse_args()
    splits = read(options.data)
    if options.examples:  # of both labels
        splits["train"] = splits["train"][:: -(-len(splits["train"]) // options.examples)]
    with tempfile.TemporaryDirectory() as folder:
        contest = Contest(
            head={"kind": "sequence_classification"},
            base=save_encoder(Path(folder) / "base", [row["text"] for row in splits["train"]], width=64),
            data=write_labelled(Path(folder) / "data", "sequence_classification", splits),
            pieces=pieces,
            epochs=options.epochs or 3,
            grouped=options.grouped,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
