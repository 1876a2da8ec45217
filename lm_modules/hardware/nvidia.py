"""What NVIDIA's management library tells of the GPUs that torch uses; nothing where there is none."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

logger = logging.getLogger(__name__)

MEGABYTE = 1e6


@dataclass(frozen=True)
class Gpu:
    """One GPU; what its driver does not tell is None."""

    handle: Any

    def utilization_percentage(self) -> float | None:
        """Part of the last moments in which anything ran."""
        rates = _asked("nvmlDeviceGetUtilizationRates", self.handle)
        return None if rates is None else float(rates.gpu)

    def memory_megabytes(self) -> float | None:
        """Memory in use, by all processes."""
        memory = _asked("nvmlDeviceGetMemoryInfo", self.handle)
        return None if memory is None else memory.used / MEGABYTE

    def watts(self) -> float | None:
        """Power drawn now."""
        milliwatts = _asked("nvmlDeviceGetPowerUsage", self.handle)
        return None if milliwatts is None else milliwatts / 1000

    def joules(self) -> float | None:
        """Energy since the driver was loaded; known from Volta on."""
        millijoules = _asked("nvmlDeviceGetTotalEnergyConsumption", self.handle)
        return None if millijoules is None else millijoules / 1000


def gpus(device: torch.device, count: int = 1) -> list[Gpu]:
    """Return the GPU that a torch device stands for, or the first `count` of the machine where several train together.

    Empty for other devices and without the library.
    """
    import torch

    if device.type != "cuda" or torch.version.hip is not None or (library := _library()) is None:
        return []
    own = torch.cuda.current_device() if device.index is None else device.index
    return [gpu for number in (range(count) if count > 1 else [own]) for gpu in _gpu(library, number)]


def visible() -> list[str]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; CUDA is left asleep."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [each.strip() for each in named.split(",") if each.strip()]
    library = _library()
    return [] if library is None else [str(number) for number in range(library.nvmlDeviceGetCount())]


def _gpu(library: Any, number: int) -> list[Gpu]:
    import torch

    uuid = str(torch.cuda.get_device_properties(number).uuid)
    try:
        prefix = "" if uuid.startswith(("GPU-", "MIG-")) else "GPU-"
        return [Gpu(library.nvmlDeviceGetHandleByUUID(f"{prefix}{uuid}".encode()))]
    except library.NVMLError as error:
        logger.info("NVML does not know the GPU %s: %s", uuid, error)
        return []


def _asked(function: str, handle: Any) -> Any:
    """Return NVML's answer, or None where it has none (virtual GPUs, slices, old cards)."""
    library = _library()
    assert library is not None
    try:
        return getattr(library, function)(handle)
    except library.NVMLError:
        return None


def _library() -> Any:
    return _opened(os.getpid())


@cache
def _opened(pid: int) -> Any:
    """Open the library once a process; None without it, or without a driver."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml
