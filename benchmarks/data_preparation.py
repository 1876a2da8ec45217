"""How fast text becomes tokens, beside datatrove's local pipeline on the same text and cores.

    python benchmarks/data_preparation.py --peer DATATROVE_PYTHON [--megabytes 200] [--peer-megabytes 200] [--check]

Clean, filter (the Gopher rules), exact and near-duplicates (MinHash, 5 words, 14 x 8), tokenize and pack. The text is
the documentation of this Python and of the packages that are installed beside it, repeated with edits. Without `--peer`
(the Python of an environment as `datatrove_pipeline.py` says) Rootstock runs alone; with it, before and after it, as
the speed of a shared machine changes. The peak of memory is that of all processes together (proportional set size).
Both drop by the same rules and another meaning of a word: datatrove's spaCy counts every comma, so it drops far more
and has less to compare and to tokenize.
"""

from __future__ import annotations

import argparse
import ast
import itertools
import json
import logging
import random
import site
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from aims import Aim, add_check, tell

from configs.data_preparation import DataPreparationConfig
from configs.tokenization import TokenizationConfig
from lm_modules.data.packed import pack
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer

FILES = 8
DOCUMENT_CHARACTERS = 4_000
DIFFERENT_CHARACTERS = 20_000_000
"""So much text is read, and then repeated with edits."""
EDITED_FRACTION = 0.1
EVERY_SECONDS = 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="Python of an environment with datatrove")
    parser.add_argument("--megabytes", type=int, default=200)
    parser.add_argument(
        "--peer-megabytes", type=int, help="less text for the peer, to save time; its MB/s are compared"
    )
    add_check(parser)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("lm_modules").setLevel(logging.WARNING)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_texts(folder / "texts", options.megabytes)
        turns = [run_ours(folder, size)]
        aims = []
        if options.peer:
            peer_texts, peer_size = folder / "texts", size
            if options.peer_megabytes and options.peer_megabytes < options.megabytes:
                peer_texts = folder / "fewer texts"
                peer_size = write_texts(peer_texts, options.peer_megabytes)
            theirs = run_peer(options.peer, folder, peer_texts, peer_size)
            turns.append(run_ours(folder, size))
            ours = statistics.mean(each.seconds for each in turns) / size
            aims.append(Aim("times datatrove's MB/s", theirs.seconds / peer_size / ours, 6))
        aims.append(Aim("GB of memory at the most", max(each.peak_bytes for each in turns) / 1e9, 1.5, at_most=True))
        tell(aims, check=options.check)


@dataclass(frozen=True)
class Turn:
    """What one of the two took."""

    seconds: float
    peak_bytes: int


def run_ours(folder: Path, size: int) -> Turn:
    """Run and print all stages."""
    config = DataPreparationConfig.model_validate(
        {
            "sources": [{"kind": "jsonl", "path": str(folder / "texts")}],
            "identify_languages": False,
            "filters": [
                {"kind": "repetition", "profiles": None, "characters": "all"},
                {"kind": "gopher_quality", "profiles": None},
            ],
            "deduplication": [
                "exact",
                {"kind": "minhash", "shingle_words": 5, "bands": 14, "rows": 8, "min_similarity": None},
            ],
        }
    )
    tokenization = TokenizationConfig.model_validate({"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 32768}})
    seconds = {}
    with Peak() as peak:
        for stage, work in {
            "clean, filter, deduplicate": lambda: prepare(config, folder / "corpus", seed=0),
            "train the tokenizer (not counted)": lambda: train_tokenizer(
                tokenization, folder / "corpus", folder / "tokenizer"
            ),
            "tokenize, pack": lambda: pack(tokenization, folder / "corpus", folder / "tokenizer", folder / "tokens"),
        }.items():
            started = time.perf_counter()
            found = work()
            seconds[stage] = time.perf_counter() - started
            if stage.startswith("clean"):
                print_funnel(found)
    counted = sum(each for stage, each in seconds.items() if "not counted" not in stage)
    for stage, each in seconds.items():
        print(f"Rootstock   {stage:<36} {each:8.1f} s")
    print(
        f"Rootstock   {size / 1e6:.0f} MB in {counted:.1f} s: {size / 1e6 / counted:.2f} MB/s, "
        f"peak {peak.bytes / 1e9:.2f} GB"
    )
    return Turn(counted, peak.bytes)


def run_peer(python: str, folder: Path, texts: Path, size: int) -> Turn:
    """Run datatrove's pipeline in its own environment and print its passes."""
    script = Path(__file__).absolute().with_name("datatrove_pipeline.py")
    arguments = [python, str(script), str(texts), str(folder / "tokenizer/tokenizer.json"), str(folder / "peer")]
    with Peak() as peak:
        done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=folder)  # for its logs
    if done.returncode:
        sys.exit(f"datatrove's pipeline failed:\n{done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    seconds = found["seconds"]
    for stage, each in seconds.items():
        print(f"datatrove   {stage:<36} {each:8.1f} s")
    counted = sum(seconds.values())
    print(
        f"datatrove   {size / 1e6:.0f} MB in {counted:.1f} s: {size / 1e6 / counted:.2f} MB/s, "
        f"peak {peak.bytes / 1e9:.2f} GB, {found['documents']:,} documents left"
    )
    return Turn(counted, peak.bytes)


def print_funnel(report: dict) -> None:
    for step in report["steps"]:
        seconds = report["seconds_by_step"].get(step["step"], 0.0)
        print(
            f"            {step['step']:<20} {step['documents_in']:>9,} in {step['documents_out']:>9,} out "
            f"{seconds:8.1f} s"
        )


def write_texts(folder: Path, megabytes: int) -> int:
    """Write so many megabytes of documents into some files and return their bytes of text."""
    folder.mkdir(parents=True)
    size = 0
    with ExitStack() as stack:
        files = [stack.enter_context((folder / f"{number:02d}.jsonl").open("w")) for number in range(FILES)]
        for number, text in enumerate(repeated()):
            files[number % FILES].write(json.dumps({"text": text, "id": str(number)}) + "\n")
            size += len(text.encode())
            if size >= megabytes * 1e6:
                return size
    raise AssertionError("texts are repeated for ever")


def repeated() -> Iterator[str]:
    """Yield the texts of this machine; then again and again, their lines in another order or some words edited."""
    chance, texts, size = random.Random(0), [], 0
    for text in pieces():
        yield text
        texts.append(text)
        size += len(text)
        if size >= DIFFERENT_CHARACTERS:
            break
    for turn in itertools.count(1):
        for number, text in enumerate(texts):
            yield edited(text, chance, turn * EDITED_FRACTION) if number % 2 else shuffled(text, chance)


def pieces() -> Iterator[str]:
    """Yield the documentation of the standard library and the installed packages, cut into documents."""
    for folder in [Path(sysconfig.get_path("stdlib")), *map(Path, site.getsitepackages())]:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".py", ".rst", ".md") and path.is_file():
                text = path.read_text(encoding="utf-8", errors="ignore")
                text = docstrings(text) if path.suffix == ".py" else text
                for start in range(0, len(text), DOCUMENT_CHARACTERS):
                    yield text[start : start + DOCUMENT_CHARACTERS]


def docstrings(source: str) -> str:
    """Return the documentation in a Python file."""
    try:
        with warnings.catch_warnings(action="ignore"):
            tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return ""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    found = (ast.get_docstring(node) for node in ast.walk(tree) if isinstance(node, documented))
    return "\n\n".join(filter(None, found))


def edited(text: str, chance: random.Random, fraction: float) -> str:
    words = text.split(" ")
    return " ".join(word[::-1] if chance.random() < fraction else word for word in words)


def shuffled(text: str, chance: random.Random) -> str:
    lines = text.split("\n")
    chance.shuffle(lines)
    return "\n".join(lines)


class Peak:
    """The largest memory of this process and all beneath it, while the block runs."""

    def __enter__(self) -> Peak:
        self.bytes, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        own = psutil.Process()
        while not self._done.wait(EVERY_SECONDS):
            total = 0
            for process in [own, *own.children(recursive=True)]:
                try:
                    total += process.memory_full_info().pss
                except (psutil.NoSuchProcess, psutil.AccessDenied):
                    continue
            self.bytes = max(self.bytes, total)


if __name__ == "__main__":
    main()
