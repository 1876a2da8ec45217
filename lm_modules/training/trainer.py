"""Lightning's Trainer, told to be quiet: no files of its own, no bars, tips or notices on the screen."""

from __future__ import annotations

import logging
import os
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from configs.compute import DeviceConfig
from lm_modules.hardware.memory import kept_memory
from lm_modules.hardware.peak import Peak, peak
from lm_modules.training.ranks import Ranks, uses_gpu

logger = logging.getLogger(__name__)

WORTHWHILE_SPEEDUP = 1.5
"""How many times as fast as in float32 a CPU must multiply matrices in bf16 to train in it: what surrounds the products
is not faster, and has conversions to do."""


def resolve_precision(compute: DeviceConfig, before: str | None = None) -> str:
    """Return "bf16" or "float32", and say why in the log: what is asked for, or what suits this machine.

    A run that goes on stays with what it had `before`, so that its bits do not change, unless it is set.
    """
    precision, reason = _chosen_precision(compute, before)
    logger.info("precision %s: %s", precision, reason)
    return precision


def _chosen_precision(compute: DeviceConfig, before: str | None) -> tuple[str, str]:
    if compute.precision != "auto":
        differs = before not in (None, compute.precision)
        return compute.precision, f"as set; the run began in {before}" if differs else "as set"
    if before is not None:
        return before, "as the run began"
    device = training_device(compute)
    if device.type == "cuda":
        if torch.cuda.is_bf16_supported(including_emulation=False):
            return "bf16", "this GPU computes in it"
        return "float32", "this GPU does not compute in bf16"
    if device.type == "mps":
        return "float32", "bf16 is no faster on Apple's GPUs"
    return _faster_precision(peak(device, "bf16"), peak(device, "float32"))


def _faster_precision(bf16: Peak, float32: Peak) -> tuple[str, str]:
    ratio = bf16.flops_per_second / float32.flops_per_second
    chosen = "bf16" if ratio >= WORTHWHILE_SPEEDUP else "float32"
    return chosen, f"{bf16} against {float32}, and bf16 is taken from {WORTHWHILE_SPEEDUP:g} times float32 on"


def training_device(compute: DeviceConfig) -> torch.device:
    """Return the device that the Trainer will take."""
    if compute.accelerator in ("auto", "gpu") and torch.cuda.is_available():
        return torch.device("cuda", torch.cuda.current_device())
    if compute.accelerator in ("auto", "gpu", "mps") and torch.backends.mps.is_available():
        return torch.device("mps")
    return torch.device("cpu")


def threads_of_a_rank(compute: DeviceConfig) -> int | None:
    """Return how many CPU threads each of the training processes uses; None leaves the choice to torch."""
    if compute.threads or compute.devices == 1:
        return compute.threads
    return max(1, len(os.sched_getaffinity(0)) // compute.devices) if hasattr(os, "sched_getaffinity") else None


def build_trainer(
    compute: DeviceConfig,
    precision: str,
    callbacks: Sequence[Callback],
    ranks: Ranks = Ranks(),  # noqa: B008 (frozen)
) -> Trainer:
    """Return a Trainer that runs one pass over its loader on the device of a rank and leaves the rest to callbacks."""
    gpu = ranks.device if ranks.count > 1 and uses_gpu(compute) else None
    with quiet():
        return Trainer(
            accelerator=compute.accelerator,
            devices=1 if gpu is None else [gpu],
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            max_epochs=1,
            callbacks=list(callbacks),
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            num_sanity_val_steps=0,
            limit_val_batches=0,
        )


def fit(trainer: Trainer, module: LightningModule, loader: Any) -> None:
    """Train over the whole loader, or until a callback says stop."""
    on_cpu = trainer.strategy.root_device.type == "cpu"
    with quiet(), kept_memory() if on_cpu else nullcontext():
        trainer.fit(module, loader)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's notices from the screen: which devices were found, tips, and advice that does not apply."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # a batch is a few microseconds of reading a memory map; a worker process would cost more than it does
            warnings.filterwarnings("ignore", message=".*does not have many workers.*")
            # the choice of device is the user's
            warnings.filterwarnings("ignore", message=".*GPU available but not used.*")
            # a stock model is trained in evaluation mode, so that it drops nothing
            warnings.filterwarnings("ignore", message=".*module\\(s\\) in eval mode at the start of training.*")
            # Lightning 2.6 still asks torch's pytrees for a class that torch 2.13 calls deprecated
            warnings.filterwarnings("ignore", message=".*LeafSpec.*is deprecated", category=FutureWarning)
            yield
    finally:
        logger.setLevel(level)


def refuse_without_compiler() -> None:
    """Raise a ValueError if torch.compile cannot work here for want of a C++ compiler."""
    if not has_compiler():
        raise ValueError(
            "compute.compile needs a C++ compiler, and none was found; install g++ or set compile to false"
        )


def has_compiler() -> bool:
    """Whether a C++ compiler is found, which torch.compile needs on CPUs and to launch its kernels on GPUs."""
    names = (os.environ.get("CXX"), "g++", "clang++", "c++")
    return any(name and shutil.which(name) for name in names)
