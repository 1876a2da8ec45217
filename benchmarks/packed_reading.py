"""Random rows of tokens: a memory map beside `datasets` on Arrow, both from files, the same rows.

    python benchmarks/packed_reading.py [--rows 20000] [--context-length 512] [--batch 32]

Prints rows a second of each way, and how many times faster the memory map is.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import datasets
import numpy as np

from lm_modules.data.packed import PackedTokens, write_packed

logger = logging.getLogger("packed_reading")


def rows_per_second(read: Callable[[np.ndarray], object], batches: list[np.ndarray]) -> float:
    read(batches[0])
    started = time.perf_counter()
    for rows in batches:
        read(rows)
    return sum(map(len, batches)) / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--context-length", type=int, default=512)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    datasets.disable_progress_bars()
    length, chance = arguments.context_length, np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as directory:
        tokens = chance.integers(1, 8192, arguments.rows * length + 1).astype(np.uint16)
        write_packed(Path(directory), "train", [(tokens, len(tokens))], vocab_size=8192, end_of_text_id=0)
        packed = PackedTokens.open(Path(directory), "train")
        starts = np.arange(arguments.rows) * length
        table = [packed.tokens[start : start + length + 1] for start in starts]
        datasets.Dataset.from_dict({"row": table}).save_to_disk(f"{directory}/arrow")
        arrow = datasets.load_from_disk(f"{directory}/arrow").with_format("numpy")
        order = chance.permutation(len(starts))
        singles = [order[index : index + 1] for index in range(min(len(order), 5_000))]
        batches = [order[index : index + arguments.batch] for index in range(0, len(order), arguments.batch)]

        def from_map(rows: np.ndarray) -> np.ndarray:
            return np.stack([packed.tokens[start : start + length + 1] for start in starts[rows]])

        def from_arrow(rows: np.ndarray) -> np.ndarray:
            return np.asarray(arrow[rows.tolist()]["row"])

        assert (from_map(batches[0]) == from_arrow(batches[0])).all()
        for name, parts in (("one row", singles), (f"batches of {arguments.batch}", batches)):
            mapped, table_speed = rows_per_second(from_map, parts), rows_per_second(from_arrow, parts)
            logger.info(
                "%s: memory map %s rows/s, datasets %s rows/s, %.1f times",
                name,
                f"{mapped:,.0f}",
                f"{table_speed:,.0f}",
                mapped / table_speed,
            )


if __name__ == "__main__":
    main()
