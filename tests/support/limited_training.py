"""Training in a process that may write no large file from a certain step on."""

from __future__ import annotations

import resource
from multiprocessing.connection import Connection
from pathlib import Path

from configs.pretraining import PretrainingConfig
from lm_modules.training.followers import fork_server


def train_with_small_files(
    config: PretrainingConfig, text: tuple[Path, Path], workdir: Path, *, from_step: int, size_bytes: int
) -> str:
    """Return how the error that ended it began: the class and the message."""
    context = fork_server()
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(theirs, config, text, workdir, from_step, size_bytes))
    process.start()
    theirs.close()
    told = ours.recv()
    process.join(60)
    return told


def _train(
    pipe: Connection, config: PretrainingConfig, text: tuple[Path, Path], workdir: Path, from_step: int, size_bytes: int
) -> None:
    from lm_modules.training.pretraining import pretrain

    def report(step: int, values: dict[str, float]) -> bool:
        if step == from_step:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))
        return False

    try:
        pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)
    except Exception as error:
        pipe.send(f"{type(error).__name__}: {error}")
    else:
        pipe.send("nothing went wrong")
