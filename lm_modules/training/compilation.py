"""Whether compiling pays: whether the time that it saves over the whole budget is more than the time that it takes.

    time without  =  operations of the budget / (peak of the device x usual utilization)
    saved         =  time without x usual gain          compared with          time to compile

The three usual figures are rough (see docs/log.md), so a budget near the border is a toss-up either way.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from torch import nn

from configs.compute import ComputeConfig
from lm_modules.hardware.peak import TERA, Peak
from lm_modules.training.trainer import has_compiler, refuse_without_compiler, training_device

logger = logging.getLogger(__name__)

COMPILE_SECONDS = 60.0
USUAL_UTILIZATION = {"cpu": 0.1, "cuda": 0.3}
"""Part of the peak that training reaches before it is compiled, by kind of device."""
USUAL_GAIN = 0.2
"""Part of the time that compiling saves."""


@dataclass(frozen=True)
class Compilation:
    """The choice, and why it was made."""

    wanted: bool
    reason: str


def choose(compute: ComputeConfig, peak: Peak, flops: float | None, seconds: float | None = None) -> Compilation:
    """Return the choice for a budget of so many operations, or of so many seconds where that is what is known."""
    if compute.compile != "auto":
        return Compilation(compute.compile, "as set")
    if seconds is None and flops is None:
        return Compilation(False, "the operations of this model are not known")
    if seconds is None:
        assert flops is not None
        utilization = USUAL_UTILIZATION.get(training_device(compute).type, 0.1)
        seconds = flops / (peak.flops_per_second * utilization)
        budget = f"{flops / TERA:,.3g} TFLOP take about {seconds:,.0f} s at {utilization:.0%} of {peak}"
    else:
        budget = f"the budget is {seconds:,.0f} s"
    saved = seconds * USUAL_GAIN
    pays = saved > COMPILE_SECONDS
    reason = f"{budget}; compiling saves about {saved:,.0f} s and takes about {COMPILE_SECONDS:.0f} s"
    if pays and not has_compiler():
        return Compilation(False, f"{reason}, but there is no C++ compiler here (install g++)")
    return Compilation(pays, reason)


def resumed(compute: ComputeConfig, before: bool) -> Compilation:
    """Return the choice for a run that goes on: as it began, so that its bits do not change, unless it is set."""
    if compute.compile == "auto" or compute.compile == before:
        return Compilation(before, "as the run began")
    return Compilation(compute.compile, f"as set; the run began {'compiled' if before else 'not compiled'}")


def carry_out(choice: Compilation, network: nn.Module) -> None:
    """Compile the network's layers if that was chosen, and say which way and why."""
    logger.info("compile %s: %s", str(choice.wanted).lower(), choice.reason)
    if choice.wanted:
        refuse_without_compiler()
        compile_layers(network)


def compile_layers(network: Any) -> None:
    """Compile the layers in place; the code is made at the first batch."""
    network.compile_layers()
