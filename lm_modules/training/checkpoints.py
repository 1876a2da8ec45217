"""Training states on disk that are whole or not there.

    checkpoints/
      step-00000100/
        model.safetensors, optimizer.safetensors      tensors by name
        state.json                                    the rest
        manifest.json                                 SHA-256 of each file: the commit mark

A checkpoint is written under a temporary name, its files and its directory are synced to the disk, and one rename makes
it appear. The newest whose digests fit is used; a damaged one is named in the log and passed over.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from lm_modules.disk import to_disk

logger = logging.getLogger(__name__)

MANIFEST = "manifest.json"
STATE = "state.json"


def save(directory: Path, step: int, tensors: Mapping[str, Mapping[str, Tensor]], state: dict[str, Any]) -> Path:
    """Write the checkpoint of `step` and return its path; one of the same step is replaced.

    `tensors` gives the content of each safetensors file by its stem ("model", "optimizer").
    """
    final = directory / step_name(step)
    temporary = directory / f".{final.name}.{os.getpid()}"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        for stem, content in tensors.items():
            whole = {name: tensor.detach().cpu().contiguous() for name, tensor in content.items()}
            save_file(whole, temporary / f"{stem}.safetensors")
        (temporary / STATE).write_text(json.dumps(state, indent=2) + "\n")
        digests = {path.name: _digest(path) for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps(digests, indent=2) + "\n")
        for path in (*temporary.iterdir(), temporary):
            to_disk(path)
        replaced = temporary.with_suffix(".replaced")
        if final.exists():
            final.rename(replaced)
        temporary.rename(final)
        to_disk(directory)
        shutil.rmtree(replaced, ignore_errors=True)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    return final


def step_name(step: int) -> str:
    """Return the name of the checkpoint of a step."""
    return f"step-{step:08d}"


def step_of(checkpoint: Path) -> int:
    """Return the step of a checkpoint, from its name."""
    return int(checkpoint.name.removeprefix("step-"))


def listed(directory: Path) -> list[Path]:
    """Return all checkpoints, whole or damaged, the oldest first."""
    return sorted((path for path in directory.glob("step-*") if path.is_dir()), key=step_of)


def newest(directory: Path) -> Path | None:
    """Return the newest whole checkpoint, or None; damaged ones are named in the log and left where they are."""
    for path in reversed(listed(directory)):
        damage = find_damage(path)
        if damage is None:
            return path
        logger.warning("checkpoint %s is damaged (%s); the one before it is used", path, damage)
    return None


def find_damage(checkpoint: Path) -> str | None:
    """Return what is wrong with a checkpoint, or None if every file is there and as it was written."""
    try:
        digests = json.loads((checkpoint / MANIFEST).read_text())
        for name, digest in digests.items():
            if _digest(checkpoint / name) != digest:
                return f"{name} is not as it was written"
    except (OSError, ValueError) as error:
        return str(error)
    return None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """Return the content of state.json."""
    return json.loads((checkpoint / STATE).read_text())


def read_tensors(checkpoint: Path, stem: str) -> dict[str, Tensor]:
    """Return the tensors of one file by name, on the CPU."""
    return load_file(checkpoint / f"{stem}.safetensors")


def keep_newest(directory: Path, count: int, *, step: int) -> None:
    """Delete all checkpoints but the newest `count` up to `step`, and what interrupted writes left behind.

    A later one than that of the step that training is at was passed over as damaged.
    """
    keep(directory, set([path for path in listed(directory) if step_of(path) <= step][-count:]))


def keep(directory: Path, kept: set[Path]) -> None:
    """Delete all other checkpoints, and what interrupted writes left behind."""
    for path in set(listed(directory)) - kept:
        shutil.rmtree(path, ignore_errors=True)
    for path in directory.glob(".step-*"):
        shutil.rmtree(path, ignore_errors=True)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
