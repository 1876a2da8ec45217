"""Work on the parts of a corpus, which can be killed at any moment and go on where it was.

A part is done when its directory has its name: it is written under another name, brought to the disk and renamed. What
is done is not done again, and no part looks at another, so neither their order nor their number of processes matters.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lm_modules.data.engines import Engine
from lm_modules.disk import remove, to_disk

POLL_SECONDS = 1.0


def part_directory(folder: Path, number: int) -> Path:
    """Return where the part of this number lies."""
    return folder / f"{number:06d}"


@contextmanager
def written(directory: Path) -> Iterator[Path]:
    """Give a directory to write into, which takes the name `directory` at the end of the block, whole or not at all."""
    unfinished = directory.with_name(f"{directory.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    for path in [*unfinished.rglob("*"), unfinished]:
        to_disk(path)
    remove(directory)
    unfinished.rename(directory)
    to_disk(directory.parent)


def for_each_part(
    engine: Engine,
    folder: Path,
    work: Callable[..., Any],
    arguments: Sequence[tuple[Any, ...]],
    stop: Callable[[Set[int]], bool],
) -> None:
    """Call `work(directory, *arguments[n])` for each part n that is not done yet; it writes the directory by `written`.

    `stop(parts that are done)` is asked after each part and now and then; its answer true is an InterruptedError here,
    after the parts that were begun. An exception in a part is raised here.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = {number for number in range(len(arguments)) if part_directory(folder, number).exists()}
    waiting = [number for number in range(len(arguments)) if number not in done]

    def check() -> None:
        if stop(done):
            raise InterruptedError(f"the preparation was stopped after {len(done)} of {len(arguments)} parts")

    check()
    with engine.executor(len(waiting)) as executor:
        if executor is None:
            for number in waiting:
                work(part_directory(folder, number), *arguments[number])
                done.add(number)
                check()
        else:
            begun = {executor.submit(work, part_directory(folder, each), *arguments[each]): each for each in waiting}
            while begun:
                ended, _ = wait(begun, POLL_SECONDS, FIRST_COMPLETED)
                for each in ended:
                    _raise_what_it_raised(each)
                    done.add(begun.pop(each))
                check()


def _raise_what_it_raised(future: Future[Any]) -> None:
    try:
        future.result()
    except BrokenProcessPool as error:
        raise RuntimeError(
            "a process of the preparation was killed; if the machine ran out of memory, make "
            "data_preparation.engine.count smaller and start again: finished parts are kept; or make "
            "data_preparation.part_megabytes smaller, which begins anew"
        ) from error
