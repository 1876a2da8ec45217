"""The gradient of a whole step, however its rows are cut: in micro-batches, over ranks, and again where memory ends."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import reduce

import torch
from torch import Tensor, nn

from lm_modules.hardware.memory import TooLarge
from lm_modules.model.parametrization import Scaling
from lm_modules.objectives import Batch, Objective
from lm_modules.training.ranks import Ranks

logger = logging.getLogger(__name__)

OUT_OF_MEMORY = ("DefaultCPUAllocator", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
"""How the libraries that have no exception of their own for it say that memory has ended."""


class GradientSum:
    """Adds up gradients; `micro_batch_rows` shrinks for good when memory has ended."""

    def __init__(self, objective: Objective, scaling: Scaling, micro_batch_rows: int | None, ranks: Ranks) -> None:
        self._objective, self._scaling, self._ranks = objective, scaling, ranks
        self.micro_batch_rows = micro_batch_rows
        self.was_halved = False

    def remember_halved(self, rows: int | None) -> None:
        """Begin with what was found to fit before, if that is less than what is asked for."""
        if rows is not None and rows < (self.micro_batch_rows or rows + 1):
            self.micro_batch_rows, self.was_halved = rows, True

    def __call__(
        self, network: nn.Module, batch: Batch, seed: int, backward: Callable[[Tensor], None], device: torch.device
    ) -> dict[str, Tensor]:
        """Leave the gradient of the step in `network` and return the loss and its parts, means over the step.

        Whatever is drawn inside the network (dropout) follows from `seed`.
        """
        while True:
            _seed(seed, device)
            totals = self._of_this_rank(network, batch, backward, device)
            if self._ranks.count > 1:
                parameters = [each for each in network.parameters() if each.requires_grad]
                totals = self._over_ranks(totals, parameters, device)
            if totals is not None:
                return totals
            # no part of it may survive in the step's next try
            for parameter in network.parameters():
                parameter.grad = None
            self._halve(self._objective.num_rows(batch))

    def _of_this_rank(
        self, network: nn.Module, batch: Batch, backward: Callable[[Tensor], None], device: torch.device
    ) -> dict[str, Tensor] | None:
        """Go through this rank's rows; None if memory has ended."""
        weights, num_scored = self._objective.weights(), self._objective.num_scored(batch)
        totals = dict.fromkeys(weights, torch.zeros((), device=device))
        num_rows = self._objective.num_rows(batch)
        first, last = self._ranks.share(num_rows)
        rows = self.micro_batch_rows or max(last - first, 1)
        try:
            for start in range(first, last, rows):
                micro, scored = batch, num_scored
                if last - first > rows or last - first < num_rows:
                    micro = self._objective.cut(batch, start, min(rows, last - start))
                    scored = self._objective.num_scored(micro)
                losses = self._objective.losses(network, micro)
                shares = {name: scored[name] / num_scored[name].clamp(min=1) for name in losses}
                factors = {
                    name: share * (weights[name] * self._scaling.loss_gradient) for name, share in shares.items()
                }
                backward(reduce(torch.add, [losses[name] * factor for name, factor in factors.items()]))
                for name, loss in losses.items():
                    totals[name] = totals[name] + loss.detach() * shares[name]
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            return None
        return {**totals, "loss": reduce(torch.add, [weights[name] * total for name, total in totals.items()])}

    def _over_ranks(
        self, totals: dict[str, Tensor] | None, parameters: list[nn.Parameter], device: torch.device
    ) -> dict[str, Tensor] | None:
        """Add up losses and gradients of all ranks; None if memory has ended on one of them."""
        names = ("loss", *self._objective.weights())
        values = [float(totals[name]) for name in names] if totals else [0.0] * len(names)
        sums = self._ranks.sum_step(values, parameters, failed=totals is None)
        if sums is None:
            return None
        return {name: torch.tensor(value, device=device) for name, value in zip(names, sums, strict=True)}

    def _halve(self, num_rows: int) -> None:
        largest_share = self._ranks.largest_share(num_rows)  # all ranks begin from it
        rows = min(self.micro_batch_rows or largest_share, largest_share)
        if rows == 1:
            raise TooLarge(
                "out of memory with a single row at once; shorten model.context_length, lower model.width or "
                "model.depth, or free memory on the device"
            )
        self.micro_batch_rows, self.was_halved = rows // 2, True
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        logger.warning(
            "out of memory with %d rows at once: the step is repeated, and training goes on, with %d (which changes "
            "the result by rounding alone); set optimization.micro_batch_rows to %d to begin so",
            *(rows, rows // 2, rows // 2),
        )


def _seed(seed: int, device: torch.device) -> None:
    """Seed what is drawn from on this device alone.

    `torch.manual_seed` seeds every kind of device, and for each that this machine lacks it writes down the stack of
    calls as text, to be shown if the device turns up later: about a millisecond in every step.
    """
    torch.default_generator.manual_seed(seed)
    if device.type != "cpu":
        torch.get_device_module(device).manual_seed(seed)


@contextmanager
def explained_memory() -> Iterator[None]:
    """Raise TooLarge with the remedy where memory ends as the weights are moved, which fewer rows would not help."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        raise TooLarge(
            f"out of memory in the optimizer's step ({error}): it keeps one or two numbers beside each weight. Lower "
            "model.width or model.depth, or free memory on the device: the same command then continues"
        ) from error


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that there is no memory left, on the device or on the machine."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)
