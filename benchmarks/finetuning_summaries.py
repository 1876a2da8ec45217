"""Summaries of the dialogues of MTS-Dialog by Rootstock and by the Seq2SeqTrainer, on the same tiny T5.

    python benchmarks/finetuning_summaries.py FOLDER [--seeds 3] [--epochs 8] [--threads 2] [--check]

FOLDER holds train.csv, valid.csv and test1.csv (Ben Abacha et al. 2023, https://github.com/abachaa/MTS-Dialog). Of long
dialogues the end is cut, and pairs with long summaries are left out, on both sides. The base has random weights and a
tokenizer of the training text, so the scores are low: what is compared is how both learn. `chrf` is of the test split.
"""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path

from finetuning_beside_trainer import Contest, parser, show
from finetuning_texts import pieces, save_encoder_decoder
from tiny_bases import write_labelled

FILES = {"train": "train.csv", "validation": "valid.csv", "test": "test1.csv"}
LONGEST = 120
"""Characters of a summary: none of those that are left is cut."""


def read(path: Path) -> list[dict[str, str]]:
    """Return dialogues with their summaries."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = [{"source": row["dialogue"], "target": row["section_text"].strip()} for row in csv.DictReader(file)]
    return [row for row in rows if 0 < len(row["target"]) <= LONGEST and row["source"].strip()]


def main() -> None:
    options = parser(__doc__).parse_args()
    splits = {split: read(options.data / name) for split, name in FILES.items()}
    splits["train"] = splits["train"][: options.examples]
    with tempfile.TemporaryDirectory() as folder:
        texts = [text for row in splits["train"] for text in row.values()]
        contest = Contest(
            head={"kind": "seq2seq", "max_new_tokens": 64, "num_beams": 4},
            base=save_encoder_decoder(Path(folder) / "base", texts),
            data=write_labelled(Path(folder) / "data", "seq2seq", splits),
            pieces=pieces,
            epochs=options.epochs or 8,
            batch_examples=16,
            context_length=64 + 192,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
