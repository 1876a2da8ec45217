"""A disk that is full while a checkpoint is written: what can go is deleted; if that is not enough, training ends."""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from lm_modules.training import checkpoints

logger = logging.getLogger(__name__)

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class NoSpace(ValueError):  # noqa: N818 (says what happened)
    """A checkpoint does not fit on the disk; those that were there are untouched."""


def save_where_space_is(
    save: Callable[[], Path], free: Callable[[], None], directory: Path, tensors: Mapping[str, Mapping[str, Tensor]]
) -> Path:
    """Return what `save` returns; where the disk is full, try once more after `free`, then raise NoSpace."""
    try:
        return save()
    except (OSError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        logger.warning("%s: deleting what need not be kept in %s, and trying again", error, directory)
    free()
    try:
        return save()
    except (OSError, SafetensorError) as error:
        if not is_disk_full(error):
            raise
        raise NoSpace(_explained(error, directory, tensors)) from error


def is_disk_full(error: Exception) -> bool:
    """Return whether a write failed for want of space, or of room below a quota or the largest size of a file."""
    if isinstance(error, OSError):
        return error.errno in FULL
    # safetensors tells of it in words alone
    return any(f"(os error {number})" in str(error) for number in FULL)


def _explained(error: Exception, directory: Path, tensors: Mapping[str, Mapping[str, Tensor]]) -> str:
    needed = sum(tensor.numel() * tensor.element_size() for content in tensors.values() for tensor in content.values())
    free = shutil.disk_usage(directory).free
    saved = checkpoints.newest(directory)
    return (
        f"no space for a checkpoint in {directory} ({error}): it takes {needed / 1e6:.1f} MB, and {free / 1e6:.1f} MB "
        "are free. Free space there, lower compute.keep_checkpoints, or move ROOTSTOCK_HOME to a larger disk; "
        f"the same command then continues from {saved.name if saved else 'the beginning'}"
    )
