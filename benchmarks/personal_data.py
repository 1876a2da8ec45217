"""How much personal data is found, how much else is taken for it, and how fast, beside splitting the text into words.

python benchmarks/personal_data.py [--seed 1] [--texts FILE ...]
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from made_up_persons import LOOK_ALIKES, POSITIVES, look_alikes, positives

from lm_modules.data.cleaners.personal_data import PersonalData
from lm_modules.data.personal import found

logger = logging.getLogger("personal_data")
CHUNK_CHARACTERS = 4000
REPEATS = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--texts", type=Path, nargs="*", default=[], help="UTF-8 texts to measure the speed with")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    hits: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for case in positives(arguments.seed):
        spans = found(case.text)
        hits[case.format] += any(s.start <= case.start and s.end >= case.end and s.kind == case.kind for s in spans)
        false[case.format] += sum(s.end <= case.start or s.start >= case.end for s in spans)
    for case in look_alikes(arguments.seed):
        false[case.format] += len(found(case.text))
    for name in POSITIVES:
        logger.info("%-28s found %3d of 200, beside it %d", name, hits[name], false[name])
    for name in LOOK_ALIKES:
        logger.info("%-28s taken for personal data %3d of 200", name, false[name])
    logger.info("recall %.4f, precision %.4f", hits.total() / 2000, hits.total() / (hits.total() + false.total()))
    for path in arguments.texts:
        speed(path)


def speed(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    chunks = [text[start : start + CHUNK_CHARACTERS] for start in range(0, len(text), CHUNK_CHARACTERS)]
    seconds: dict[str, list[float]] = {"PersonalData": [], "str.split": []}
    clean = PersonalData().clean
    for _ in range(REPEATS):  # in turns, so that both see the same machine
        for name, work in (("PersonalData", clean), ("str.split", str.split)):
            started = time.process_time()
            for chunk in chunks:
                work(chunk)
            seconds[name].append(time.process_time() - started)
    said = ", ".join(f"{name} {len(text.encode()) / 1e6 / min(each):.1f} MB/s" for name, each in seconds.items())
    logger.info("%s: %s, %d replaced", path.name, said, sum(len(found(chunk)) for chunk in chunks))


if __name__ == "__main__":
    main()
