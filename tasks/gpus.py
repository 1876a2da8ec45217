"""Trainings side by side, each on GPUs of its own as long as there are enough.

A process takes its first GPUs, so each is shown the machine's in an order that begins with its own:

    CUDA_VISIBLE_DEVICES=0,1,2,3     a trial on two of four
    CUDA_VISIBLE_DEVICES=2,3,0,1     the one beside it
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from configs.compute import DeviceConfig
from lm_modules.hardware.nvidia import visible

_choosing = threading.Lock()
_trainings: Counter[str] = Counter()
"""How many trainings that this process has started are on each GPU now."""


@contextmanager
def gpus_for(compute: DeviceConfig) -> Iterator[dict[str, str]]:
    """Give a training the GPUs that are least in use; yield what its environment says of them."""
    known = visible() if compute.accelerator in ("auto", "gpu") else []
    if len(known) < 2:
        yield {}
        return
    with _choosing:
        ordered = sorted(known, key=_trainings.__getitem__)
        own = ordered[: compute.devices]
        _trainings.update(own)
    try:
        yield {"CUDA_VISIBLE_DEVICES": ",".join(ordered)}
    finally:
        with _choosing:
            _trainings.subtract(own)
