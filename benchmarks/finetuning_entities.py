"""Entities of WNUT-17 (Derczynski et al. 2017) by Rootstock and by the Trainer, on the same tiny BERT.

    python benchmarks/finetuning_entities.py FOLDER [--seeds 3] [--epochs 6] [--grouped] [--threads 2] [--check]

FOLDER holds train.conll, dev.conll and test.conll of github.com/leondz/emerging_entities_17. The base has random
weights and a tokenizer of the training text, so the scores are low: what is compared is how both learn. The Trainer's
side is as in the examples of `transformers` (run_ner.py): words that are split already, the first piece of each
labelled, `DataCollatorForTokenClassification`, and seqeval. `entity_f1` is of the test split.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from finetuning_beside_trainer import Contest, Pieces, parser, show
from tiny_bases import save_encoder, write_labelled

FILES = {"train": "train.conll", "validation": "dev.conll", "test": "test.conll"}


def pieces(contest: Contest, splits: Mapping[str, list[dict[str, Any]]]) -> Pieces:
    """Return what a user of the Trainer writes for entities."""
    import numpy as np
    from datasets import Dataset
    from seqeval.metrics import f1_score
    from transformers import (
        AutoModelForTokenClassification,
        AutoTokenizer,
        DataCollatorForTokenClassification,
    )

    labels = sorted({tag for rows in splits.values() for row in rows for tag in row["tags"]})
    number_of = {label: number for number, label in enumerate(labels)}
    tokenizer = AutoTokenizer.from_pretrained(contest.base)
    model = AutoModelForTokenClassification.from_pretrained(
        contest.base,
        num_labels=len(labels),
        hidden_dropout_prob=contest.dropout,
        attention_probs_dropout_prob=contest.dropout,
    )

    def encoded(rows: dict[str, Any]) -> Any:
        found = tokenizer(rows["words"], truncation=True, max_length=contest.context_length, is_split_into_words=True)
        found["labels"] = []
        for number, tags in enumerate(rows["tags"]):
            words, before = found.word_ids(number), None
            target = []
            for word in words:
                target.append(-100 if word is None or word == before else number_of[tags[word]])
                before = word
            found["labels"].append(target)
        return found

    def compute_metrics(answers: Any) -> dict[str, float]:
        best, true = np.argmax(answers.predictions, axis=-1), answers.label_ids
        kept = true != -100
        found, asked = (
            [[labels[each] for each in row[mask]] for row, mask in zip(rows, kept, strict=True)]
            for rows in (best, true)
        )
        return {"entity_f1": float(f1_score(asked, found))}

    return Pieces(
        model=model,
        tokenizer=tokenizer,
        datasets={
            split: Dataset.from_list([{key: row[key] for key in ("words", "tags")} for row in rows]).map(
                encoded, batched=True, remove_columns=["words", "tags"]
            )
            for split, rows in splits.items()
        },
        collator=DataCollatorForTokenClassification(tokenizer, pad_to_multiple_of=8),
        compute_metrics=compute_metrics,
    )


def main() -> None:
    from lm_modules.data.labelled.conll import Conll

    options = parser(__doc__).parse_args()
    splits = {
        split: [dict(each.fields) for each in Conll(path=str(options.data / name)).examples(("words", "tags"))]
        for split, name in FILES.items()
    }
    splits["train"] = splits["train"][: options.examples]
    with tempfile.TemporaryDirectory() as folder:
        texts = [" ".join(row["words"]) for row in splits["train"]]
        contest = Contest(
            head={"kind": "token_classification"},
            base=save_encoder(Path(folder) / "base", texts, width=64),
            data=write_labelled(Path(folder) / "data", "token_classification", splits),
            pieces=pieces,
            epochs=options.epochs or 6,
            grouped=options.grouped,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
