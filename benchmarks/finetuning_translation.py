"""Translation of Tatoeba's English sentences to Spanish by Rootstock and by the Seq2SeqTrainer, on the same tiny T5.

    python benchmarks/finetuning_translation.py FOLDER [--seeds 3] [--epochs 8] [--examples 6000] [--threads 2]

FOLDER holds spa.txt.gz of manythings.org/anki: a pair a line, with a tab between. Pairs with the same English are in
one split. The base has random weights and a tokenizer of the training text, so the scores are low: what is compared is
how both learn. `chrf` is of the test split.
"""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path
from random import Random

from finetuning_beside_trainer import Contest, parser, show
from finetuning_texts import pieces, save_encoder_decoder
from tiny_bases import write_labelled

SIZES = {"validation": 200, "test": 500}
LONGEST = 60
"""Characters of a sentence: nothing is cut."""


def read(path: Path, num_train: int) -> dict[str, list[dict[str, str]]]:
    """Return pairs by split, drawn from all lengths."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        pairs = [line.rstrip("\n").split("\t")[:2] for line in lines]
    by_source: dict[str, str] = {}
    for source, target in pairs:
        if 5 < len(source) <= LONGEST and len(target) <= LONGEST:
            by_source.setdefault(source, target)
    chosen = [{"source": source, "target": target} for source, target in by_source.items()]
    Random(0).shuffle(chosen)
    splits = {}
    for split, size in {**SIZES, "train": num_train}.items():
        splits[split], chosen = chosen[:size], chosen[size:]
    return splits


def main() -> None:
    options = parser(__doc__).parse_args()
    splits = read(options.data / "spa.txt.gz", options.examples or 6000)
    with tempfile.TemporaryDirectory() as folder:
        texts = [text for row in splits["train"] for text in row.values()]
        contest = Contest(
            head={"kind": "seq2seq", "max_new_tokens": 40, "num_beams": 4},
            base=save_encoder_decoder(Path(folder) / "base", texts),
            data=write_labelled(Path(folder) / "data", "seq2seq", splits),
            pieces=pieces,
            epochs=options.epochs or 8,
        )
        show(contest, options, Path(folder))


if __name__ == "__main__":
    main()
