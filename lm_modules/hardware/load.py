"""How busy the machine is: processor, memory of the process and its children, GPU."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil
import torch

from lm_modules.hardware.nvidia import MEGABYTE, gpus

SECONDS = 5.0
"""A sample costs a few milliseconds, so it is taken at most so often in the time of the work."""
SHORTEST_SECONDS = 0.1
"""Over less, a mean says nothing."""


class ProcessTree:
    """This process and those that it started."""

    def __init__(self) -> None:
        self._root = psutil.Process()

    def cpu_seconds(self) -> float:
        """Return processor time so far, that of children which have ended included."""
        total = 0.0
        for process in self._alive():
            with suppress(psutil.Error):
                times = process.cpu_times()
                total += times.user + times.system
                total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
        return total

    def resident_bytes(self) -> int:
        """Return memory in use; pages that processes share count in each."""
        total = 0
        for process in self._alive():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def _alive(self) -> list[psutil.Process]:
        return [self._root, *self._root.children(recursive=True)]


class Load:
    """Samples as metrics: those of MLflow's own names mean what they mean there."""

    def __init__(self, device: torch.device, count: int = 1) -> None:
        self._tree, self._gpus = ProcessTree(), gpus(device, count)
        psutil.cpu_percent()  # begins the first interval
        self._seconds, self._cpu_seconds = time.monotonic(), self._tree.cpu_seconds()
        self._worked: float | None = None

    def sample(self, worked: float, *, last: bool = False) -> dict[str, float]:
        """Return means since the last sample, and what is in use now; nothing if that was not long ago.

        `worked` are the seconds of work so far, by the work's own clock: what waits, as training does while it is
        measured beside others, is not sampled meanwhile at every turn.
        """
        now = time.monotonic()
        elapsed = now - self._seconds
        since = elapsed if last or self._worked is None else min(elapsed, worked - self._worked)
        if since < (SHORTEST_SECONDS if last else SECONDS):
            return {}
        self._worked = worked
        cpu_seconds = self._tree.cpu_seconds()
        values: dict[str, float | None] = {
            "system/cpu_utilization_percentage": psutil.cpu_percent(),
            "system/process_busy_cores": max(cpu_seconds - self._cpu_seconds, 0.0) / elapsed,
            "system/process_memory_megabytes": self._tree.resident_bytes() / MEGABYTE,
        }
        for number, gpu in enumerate(self._gpus):
            values[f"system/gpu_{number}_utilization_percentage"] = gpu.utilization_percentage()
            values[f"system/gpu_{number}_memory_usage_megabytes"] = gpu.memory_megabytes()
            values[f"system/gpu_{number}_power_usage_watts"] = gpu.watts()
        self._seconds, self._cpu_seconds = now, cpu_seconds
        return {name: value for name, value in values.items() if value is not None}
