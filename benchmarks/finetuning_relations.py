"""Relations of SemEval-2010 task 8 (Hendrickx et al. 2010) by Rootstock and by the Trainer, on the same tiny BERT.

    python benchmarks/finetuning_relations.py FOLDER [--seeds 3] [--epochs 4] [--grouped] [--threads 2] [--check]

FOLDER holds TRAIN_FILE.TXT and TEST_FILE_FULL.TXT of the task's distribution. Every tenth training example is for
validation. The base has random weights and a tokenizer of the training text, so the scores are low: what is compared is
how both learn. The Trainer's side is as in the examples of `transformers` (run_glue.py), on sentences in which the two
entities stand between signs: cut at the end, `DataCollatorWithPadding`, and the task's measure by scikit-learn's
confusion matrix. `relation_f1` is of the test split.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces, parser, show
from tiny_bases import save_encoder, write_labelled

EXAMPLE = re.compile(r'^\d+\t"(.*)"\s*\n(\S+)\s*$', re.MULTILINE)


def read(path: Path) -> list[dict[str, Any]]:
    """Return the sentences of a file of the task, with their tags and labels."""
    text = path.read_text(encoding="utf-8").replace("\r\n", "\n")
    return [{"text": sentence, "label": label} for sentence, label in EXAMPLE.findall(text)]


def official_f1(found: list[str], true: list[str]) -> float:
    """Return the task's measure from a confusion matrix of scikit-learn."""
    from sklearn.metrics import confusion_matrix

    labels = sorted({*found, *true})
    counts = confusion_matrix(true, found, labels=labels)
    relations = sorted({label.split("(")[0] for label in labels} - {"Other"})
    scores = []
    for relation in relations:
        of_it = [number for number, label in enumerate(labels) if label.split("(")[0] == relation]
        right = sum(counts[number, number] for number in of_it)
        precision = right / max(counts[:, of_it].sum(), 1)
        recall = right / max(counts[of_it].sum(), 1)
        scores.append(2 * precision * recall / (precision + recall) if right else 0.0)
    return float(sum(scores) / len(scores))


def pieces(contest: Contest, splits: Mapping[str, list[dict[str, Any]]]) -> Pieces:
    """Return what a user of the Trainer writes for relations."""
    import numpy as np
    from datasets import Dataset
    from transformers import AutoModelForSequenceClassification, AutoTokenizer, DataCollatorWithPadding

    labels = sorted({row["label"] for rows in splits.values() for row in rows})
    tokenizer = AutoTokenizer.from_pretrained(contest.base)
    model = AutoModelForSequenceClassification.from_pretrained(
        contest.base,
        num_labels=len(labels),
        hidden_dropout_prob=contest.dropout,
        attention_probs_dropout_prob=contest.dropout,
    )

    def marked(row: dict[str, Any]) -> str:
        signs = {row["head"][0]: "@ ", row["head"][1]: " @", row["tail"][0]: "# ", row["tail"][1]: " #"}
        text = row["text"]
        for place in sorted(signs, reverse=True):
            text = text[:place] + signs[place] + text[place:]
        return text

    def encoded(rows: dict[str, Any]) -> Any:
        return tokenizer(rows["text"], truncation=True, max_length=contest.context_length)

    def compute_metrics(answers: Any) -> dict[str, float]:
        best = np.argmax(answers.predictions, axis=-1)
        return {"relation_f1": official_f1([labels[each] for each in best], [labels[each] for each in answers[1]])}

    return Pieces(
        model=model,
        tokenizer=tokenizer,
        datasets={
            split: Dataset.from_list([{"text": marked(row), "labels": labels.index(row["label"])} for row in rows]).map(
                encoded, batched=True, remove_columns=["text"]
            )
            for split, rows in splits.items()
        },
        collator=DataCollatorWithPadding(tokenizer, pad_to_multiple_of=8),
        compute_metrics=compute_metrics,
    )


def main() -> None:
    options = parser(__doc__).parse_args()
    whole = read(options.data / "TRAIN_FILE.TXT")
    splits = {
        "train": [row for number, row in enumerate(whole) if number % 10][: options.examples],
        "validation": whole[::10],
        "test": read(options.data / "TEST_FILE_FULL.TXT"),
    }
    with tempfile.TemporaryDirectory() as folder:
        texts = [re.sub("</?e[12]>", "", row["text"]) + " @ #" for row in splits["train"]]
        contest = Contest(
            head={"kind": "relation_extraction"},
            base=save_encoder(Path(folder) / "base", texts, width=64),
            data=write_labelled(Path(folder) / "data", "relation_extraction", splits),
            pieces=pieces,
            epochs=options.epochs or 4,
            grouped=options.grouped,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
