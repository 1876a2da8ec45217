"""How fast a device can multiply matrices: the figure that a utilization is measured against.

For GPUs it is what the maker publishes, dense, without the doubling for sparse matrices. (Lightning 2.6 has such a
table, too; it gives the H200 and the H100 NVL their sparse figure and gaming cards that of their plain cores.) A CPU,
and a GPU that is not in the table, is timed at a large product.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache

import torch

TERA = 1e12
PUBLISHED: dict[str, tuple[float, float, str]] = {
    # name begins with: (bf16 with float32 sums, float32) in TFLOP/s, source
    "NVIDIA GB200": (2500, 80, "NVIDIA GB200 NVL72 page, one GPU, dense"),
    "NVIDIA B200": (2250, 75, "NVIDIA DGX B200 datasheet, one GPU, dense"),
    "NVIDIA GH200": (989.4, 66.9, "NVIDIA GH200 datasheet, dense"),
    "NVIDIA H200 NVL": (835.5, 60, "NVIDIA H200 datasheet, dense"),
    "NVIDIA H200": (989.4, 66.9, "NVIDIA H200 datasheet, dense"),
    "NVIDIA H100 NVL": (835.5, 60, "NVIDIA H100 datasheet, dense"),
    "NVIDIA H100 PCIe": (756.4, 51.2, "NVIDIA H100 whitepaper, dense"),
    "NVIDIA H100 80GB HBM3": (989.4, 66.9, "NVIDIA H100 whitepaper, dense"),
    "NVIDIA A100": (312, 19.5, "NVIDIA A100 datasheet, dense"),
    "NVIDIA A800": (312, 19.5, "NVIDIA A800 datasheet, dense"),
    "NVIDIA A30": (165, 10.3, "NVIDIA A30 datasheet, dense"),
    "NVIDIA A40": (149.7, 37.4, "NVIDIA A40 datasheet, dense"),
    "NVIDIA L40S": (362.05, 91.6, "NVIDIA L40S datasheet, dense"),
    "NVIDIA L40": (181.05, 90.5, "NVIDIA L40 datasheet, dense"),
    "NVIDIA L4": (121, 30.3, "NVIDIA L4 datasheet, dense"),
    "NVIDIA RTX 6000 Ada": (364.2, 91.1, "NVIDIA RTX 6000 Ada datasheet, dense"),
    "NVIDIA RTX A6000": (154.8, 38.7, "NVIDIA Ampere GA102 whitepaper, dense"),
    "NVIDIA GeForce RTX 4090": (165.2, 82.6, "NVIDIA Ada whitepaper, dense"),
    "NVIDIA GeForce RTX 3090": (71, 35.6, "NVIDIA Ampere GA102 whitepaper, dense"),
    "AMD Instinct MI300X": (1307.4, 163.4, "AMD Instinct MI300X datasheet, dense"),
}
SIZES = (512, 1024, 2048)
SECONDS = 0.1
"""How long the product of each size is repeated."""
LONGEST_SECONDS = 1.0
"""A size whose product would take longer is left out: a CPU without bf16 needs a minute for the largest in it."""


@dataclass(frozen=True)
class Peak:
    """What a device does at best, and how that is known."""

    flops_per_second: float
    source: str

    def __str__(self) -> str:
        return f"{self.flops_per_second / TERA:.3g} TFLOP/s ({self.source})"


def peak(device: torch.device, precision: str) -> Peak:
    """Return the peak of a device in "bf16" or "float32"; a CPU is timed with the threads that torch has now."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    return published(name, precision) or _timed(device, precision, torch.get_num_threads())


def published(name: str, precision: str) -> Peak | None:
    """Return the maker's figure for a GPU, or None if it is not in the table; a slice of a GPU is not."""
    if "MIG" in name:
        return None
    for known in sorted(PUBLISHED, key=len, reverse=True):
        if name.startswith(known) and not name[len(known) : len(known) + 1].isalnum():
            bf16, float32, source = PUBLISHED[known]
            return Peak((bf16 if precision == "bf16" else float32) * TERA, source)
    return None


@cache
def _timed(device: torch.device, precision: str, threads: int) -> Peak:
    """Return the fastest of repeated products of a few sizes; takes about a third of a second, at most a few."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    best = 0.0
    for size in SIZES:
        if 2 * size**3 > best * LONGEST_SECONDS > 0:
            break
        square = torch.ones(size, size, dtype=dtype, device=device)
        end = time.perf_counter() + SECONDS
        while (started := time.perf_counter()) < end:
            (square @ square)[0, 0].item()  # waits for a GPU
            best = max(best, 2 * size**3 / (time.perf_counter() - started))
    where = f"{threads} CPU thread{'s' if threads > 1 else ''}" if device.type == "cpu" else device.type
    return Peak(best, f"fastest {precision} matrix product, timed on {where}")
