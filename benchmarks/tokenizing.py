"""How long packing takes beside a bare loop of the tokenizer over the same batches, in turns.

    python benchmarks/tokenizing.py [--megabytes 50] [--rounds 3] [--vocabulary 32768] [--check]

The text is Python sources and package descriptions of this interpreter, in documents of 8,000 characters. Packing reads
a corpus file, encodes, counts and writes; the bare loop has the texts in memory and throws the tokens away. With
`plain`, packing may not use tiktoken.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

from aims import Aim, add_check, tell

from configs.tokenization import TokenizationConfig
from lm_modules.data.corpus import SplitWriter, read_documents
from lm_modules.data.documents import SPLITS, Document
from lm_modules.data.encoding import Encoder, batched
from lm_modules.data.packed import pack
from lm_modules.data.tokenization import train_tokenizer


def texts(most_characters: int) -> Iterator[str]:
    found = 0
    for folder in ("stdlib", "purelib"):
        files = [
            path for path in sorted(Path(sysconfig.get_paths()[folder]).rglob("*")) if path.suffix in (".py", ".md")
        ]
        random.Random(0).shuffle(files)
        for file in files:
            try:
                text = file.read_text()
            except (OSError, UnicodeDecodeError):
                continue
            for start in range(0, len(text), 8000):
                yield text[start : start + 8000]
                found += len(text[start : start + 8000])
                if found >= most_characters:
                    return


def write_corpus(folder: Path, megabytes: float) -> Path:
    writers = {split: SplitWriter(folder / f"{split}.parquet") for split in SPLITS}
    for number, text in enumerate(texts(int(megabytes * 1e6))):
        writers["validation" if number % 500 == 0 else "train"].write(Document(str(number), text, "library"))
    splits = {split: writer.close() for split, writer in writers.items()}
    (folder / "report.json").write_text(json.dumps({"splits": splits}))
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vocabulary", type=int, default=32768)
    parser.add_argument("--kind", default="byte_bpe")
    add_check(parser)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("lm_modules").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        corpus = write_corpus(folder, arguments.megabytes)
        tokenizer = {"kind": arguments.kind, "vocabulary_size": arguments.vocabulary}
        config = TokenizationConfig.model_validate({"tokenizer": tokenizer, "training_characters": 5_000_000})
        train_tokenizer(config, corpus, folder / "tokenizer")
        batches = list(batched(read_documents(corpus / "train.parquet")))
        encoder = Encoder(folder / "tokenizer")

        def bare() -> None:
            for batch in batches:
                encoder.tokenizer.encode_batch_fast([each.text for each in batch], add_special_tokens=False)

        def packed() -> None:
            pack(config, corpus, folder / "tokenizer", folder / "tokens")

        def plain() -> None:
            with mock.patch.object(Encoder, "encode", lambda self, some, pool=None: self._encode_plainly(some)):
                packed()

        time_of_packing = report(arguments.rounds, {"bare": bare, "packed": packed, "plain": plain})["packed"]
        tell([Aim("part of the bare loop's time", time_of_packing, 1.1, at_most=True)], check=arguments.check)


def report(rounds: int, contestants: dict[str, Callable[[], None]]) -> dict[str, float]:
    """Print the times and return each one's part of the bare loop's time."""
    parts = {}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, work in contestants.items():
            wall, processor = time.perf_counter(), time.process_time()
            work()
            seconds[name].append((time.perf_counter() - wall, time.process_time() - processor))
    for name, found in seconds.items():
        ratios = [
            [one[kind] / other[kind] for one, other in zip(found, seconds["bare"], strict=True)] for kind in (0, 1)
        ]
        wall, processor = (statistics.median(each) for each in ratios)
        parts[name] = wall
        print(
            f"{name:8} {statistics.median(each[0] for each in found):7.2f} s, of processors "
            f"{statistics.median(each[1] for each in found):7.2f} s: {wall:.2f} and {processor:.2f} of the bare loop's"
        )
    return parts


if __name__ == "__main__":
    main()
