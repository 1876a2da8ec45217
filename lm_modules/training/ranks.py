"""Several processes that train one model: each takes its rows of every batch, and the gradients are added up.

    rank 0    the caller: reports, validates, writes checkpoints      rows 0 1 2 3 |
    rank 1    started here, silent, ends with the caller                           | rows 4 5 6 7

Every rank makes the whole batch, which depends on the step alone, and moves the same weights by the same gradient, so
nothing but gradients and a few numbers of each step travels. Numbers go through gloo, and with them the news that a
rank has died; gradients of GPUs go through NCCL.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as distributed
from torch import nn

from configs.compute import DeviceConfig
from lm_modules.training.followers import Follower, FollowerFailed, first_failure

T = TypeVar("T")

PATIENCE = timedelta(hours=2)
"""How long a rank waits for the others: longer than a validation or the writing of a checkpoint takes."""
BUCKET_BYTES = 64 * 2**20
"""Gradients travel in pieces of about this size."""


@dataclass(frozen=True)
class Ranks:
    """The place of this process among those that train together; alone, it changes nothing that passes through it."""

    rank: int = 0
    count: int = 1
    device: int = 0
    """The number of this rank's GPU on its machine."""
    count_here: int = 1
    """How many of the ranks are on this machine."""

    @property
    def leads(self) -> bool:
        """Whether this is the rank that speaks and writes for all."""
        return self.rank == 0

    def share(self, num_rows: int) -> tuple[int, int]:
        """Return the first of this rank's rows, and the one behind its last; shares differ by one row at most."""
        return num_rows * self.rank // self.count, num_rows * (self.rank + 1) // self.count

    def largest_share(self, num_rows: int) -> int:
        """Return how many rows the rank has that has most of them."""
        return -(-num_rows // self.count)

    def any(self, flag: bool) -> bool:
        """Return whether it is true for one of the ranks."""
        return self.sum([float(flag)])[0] > 0

    def told(self, value: T) -> T:
        """Return what rank 0 has."""
        if self.count == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def sum(self, numbers: Sequence[float]) -> list[float]:
        """Return the sums over all ranks, in float64."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64)
        distributed.all_reduce(sums)
        return sums.tolist()

    def sum_step(
        self, numbers: Sequence[float], parameters: Sequence[nn.Parameter], *, failed: bool
    ) -> list[float] | None:
        """Add up a step's numbers and its gradients; None, and no gradient has changed, if it failed on one rank.

        A weight that no rank's rows use has no gradient afterwards, as if there were one rank.
        """
        used = [float(each.grad is not None) for each in parameters]
        num_failed, *sums = self.sum([float(failed), *numbers, *used])
        if num_failed:
            return None
        self.sum_gradients([each for each, uses in zip(parameters, sums[len(numbers) :], strict=True) if uses])
        return sums[: len(numbers)]

    def sum_gradients(self, parameters: Sequence[nn.Parameter]) -> None:
        """Give each of these weights the sum of its gradients over all ranks; one that has none counts as zero."""
        if self.count == 1:
            return
        for bucket in _buckets(parameters):
            gradients = [torch.zeros_like(each) if each.grad is None else each.grad for each in bucket]
            flat = torch.cat([each.flatten() for each in gradients])
            distributed.all_reduce(flat)
            for parameter, part in zip(bucket, flat.split([each.numel() for each in bucket]), strict=True):
                parameter.grad = part.view_as(parameter).clone()


def _buckets(parameters: Sequence[nn.Parameter]) -> Iterator[list[nn.Parameter]]:
    bucket: list[nn.Parameter] = []
    for parameter in parameters:
        bucket.append(parameter)
        if sum(each.numel() * each.element_size() for each in bucket) >= BUCKET_BYTES:
            yield bucket
            bucket = []
    if bucket:
        yield bucket


@contextmanager
def train_together(compute: DeviceConfig, follow: Callable[[Ranks], Any]) -> Iterator[Ranks]:
    """Start the other ranks, each of which calls `follow`, and give this process its place among them.

    `follow` can be pickled and does what the block does. No rank outlives the block or this process. Where torchrun has
    started the ranks, each finds its place in the environment, and none is started here.
    """
    if "TORCHELASTIC_RUN_ID" in os.environ:
        with _joined(compute, _place_from_torchrun(), init_method="env://") as ranks:
            yield ranks
    elif compute.devices == 1:
        yield Ranks()
    else:
        refuse_missing_devices(compute)
        store = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
        job = _FollowerJob(compute, follow, store.port)
        followers = [Follower(rank, job) for rank in range(1, compute.devices)]
        try:
            for follower in followers:
                follower.wait_until_ready()
            with _joined(compute, Ranks(0, compute.devices, 0, compute.devices), store=store) as ranks:
                yield ranks
        except (RuntimeError, FollowerFailed) as error:
            # a rank that dies breaks the connection; what broke it tells more than that it is broken
            if failure := first_failure(followers):
                raise failure from error
            raise
        finally:
            for follower in followers:
                follower.end()


@dataclass(frozen=True)
class _FollowerJob:
    """What a rank that was started here does."""

    compute: DeviceConfig
    follow: Callable[[Ranks], Any]
    port: int

    def __call__(self, rank: int) -> None:
        place = Ranks(rank, self.compute.devices, rank, self.compute.devices)
        store = distributed.TCPStore("127.0.0.1", self.port, is_master=False)
        with _joined(self.compute, place, store=store) as ranks:
            self.follow(ranks)


@contextmanager
def _joined(compute: DeviceConfig, place: Ranks, **rendezvous: Any) -> Iterator[Ranks]:
    if uses_gpu(compute):
        torch.cuda.set_device(place.device)
    distributed.init_process_group(
        "cpu:gloo,cuda:nccl" if uses_gpu(compute) else "gloo",
        rank=place.rank,
        world_size=place.count,
        timeout=PATIENCE,
        **rendezvous,
    )
    try:
        yield place
    finally:
        distributed.destroy_process_group()


def _place_from_torchrun() -> Ranks:
    return Ranks(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))


def uses_gpu(compute: DeviceConfig) -> bool:
    """Return whether training takes place on GPUs that NCCL connects."""
    return compute.accelerator in ("auto", "gpu") and torch.cuda.is_available()


def refuse_missing_devices(compute: DeviceConfig) -> None:
    """Raise a ValueError if there are fewer GPUs than ranks; on CPUs, ranks share the cores."""
    found = torch.cuda.device_count() if uses_gpu(compute) else None
    if found is not None and compute.devices > found:
        raise ValueError(f"compute.devices {compute.devices} exceeds the {found} GPUs of this machine; lower it")
    if compute.accelerator == "mps" or (compute.accelerator == "auto" and torch.backends.mps.is_available()):
        raise ValueError(f"compute.devices {compute.devices}: this machine has one GPU (mps); set it to 1")
