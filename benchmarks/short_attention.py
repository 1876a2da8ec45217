"""Milliseconds of causal attention's backward pass on one core: torch's in bfloat16 and float32, and by plain products.

python benchmarks/short_attention.py [--repeats 7]
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from lm_modules.model.short_attention import short_attention

logger = logging.getLogger("short_attention")

SHAPES = ((12, 4, 64, 32), (16, 4, 128, 32), (16, 6, 256, 64), (8, 6, 512, 64), (4, 6, 1024, 64), (2, 6, 2048, 64))
"""Rows, heads, length, head width."""
SCALE = 0.1


def torchs(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=SCALE)


def ours(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return short_attention(query, key, value, None, True, SCALE)


def milliseconds(attention: Callable[..., Tensor], shape: tuple[int, ...], dtype: torch.dtype) -> float:
    """Return the processor time of one backward pass."""
    rows, heads, length, width = shape
    vectors = [torch.randn(rows, length, heads, width).to(dtype).requires_grad_() for _ in range(3)]
    output = attention(*(each.transpose(1, 2) for each in vectors))
    upstream = torch.randn(rows, length, heads, width).to(dtype).transpose(1, 2)
    started = time.process_time()
    torch.autograd.grad(output, vectors, upstream)
    return 1000 * (time.process_time() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=7)
    repeats = parser.parse_args().repeats
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.set_num_threads(1)
    contestants = {
        "torch, bfloat16": (torchs, torch.bfloat16),
        "torch, float32": (torchs, torch.float32),
        "products, bfloat16": (ours, torch.bfloat16),
    }
    for shape in SHAPES:
        times: dict[str, list[float]] = {name: [] for name in contestants}
        for _ in range(repeats):  # in turns, so that all see the same machine
            for name, (attention, dtype) in contestants.items():
                times[name].append(milliseconds(attention, shape, dtype))
        said = ", ".join(f"{name} {sorted(each)[len(each) // 2]:.1f}" for name, each in times.items())
        logger.info("%d rows, %d heads, length %d, head width %d: %s", *shape, said)


if __name__ == "__main__":
    main()
