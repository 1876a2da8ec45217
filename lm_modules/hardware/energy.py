"""The energy that the machine takes while it trains, measured where it can be and estimated where it cannot.

    processor   RAPL, the processor's own counters of energy (Linux; since 2020 for root alone): of the whole machine
                else an estimate: the time of this process and its children on a core
    GPU         NVML's counter of energy, else its power from moment to moment, else nothing, which is said

A GPU that several trainings share counts in full for each of them. Cooling, disks, network and what is lost in the
power supply are left out.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from lm_modules.hardware.load import ProcessTree
from lm_modules.hardware.nvidia import Gpu, gpus

POWERCAP = Path("/sys/class/powercap")
JOULES_PER_KILOWATT_HOUR = 3.6e6
WATTS_PER_BUSY_CORE = 3.5
"""Mean of fully used servers, for each thread of a core, memory and board included (Cloud Carbon Footprint,
methodology, 2023, after measurements of SPECpower)."""


class EnergyMeter:
    """Adds up what was taken since it was made, on top of what a resumed run had taken before."""

    def __init__(
        self,
        device: torch.device,
        count: int = 1,
        kilowatt_hours: float = 0.0,
        powercap: Path = POWERCAP,
        *,
        whole_machine: bool = True,
    ) -> None:
        self.kilowatt_hours = kilowatt_hours
        domains = Rapl(powercap)
        # counters of the whole machine would be counted once for each training that shares it
        processor = domains if domains.found and whole_machine else BusyCores()
        self._parts: list[Rapl | BusyCores | GpuEnergy] = [processor, *map(GpuEnergy, gpus(device, count))]
        self._uncounted = device.type == "cuda" and len(self._parts) == 1

    @property
    def method(self) -> str:
        """How the figure is come by."""
        parts = list(dict.fromkeys(part.method for part in self._parts))
        return "; ".join([*parts, *(["GPU not counted: NVML does not answer"] if self._uncounted else [])])

    def update(self) -> float:
        """Add what was taken since the last time and return the sum; counters run over within minutes if not asked."""
        self.kilowatt_hours += sum(part.joules() for part in self._parts) / JOULES_PER_KILOWATT_HOUR
        return self.kilowatt_hours


class Rapl:
    """Running Average Power Limit: a counter of microjoules for each processor package, and one for its memory."""

    method = "processor measured by RAPL, whole machine"

    def __init__(self, powercap: Path) -> None:
        self._last: dict[Path, int] = {}
        self._range: dict[Path, int] = {}
        for directory in sorted(powercap.glob("intel-rapl:*")):
            try:
                name = (directory / "name").read_text().strip()
                if name.startswith("package") or name == "dram":
                    self._last[directory] = int((directory / "energy_uj").read_text())
                    self._range[directory] = int((directory / "max_energy_range_uj").read_text())
            except (OSError, ValueError):
                self._last.pop(directory, None)  # not for us to read
        self.found = bool(self._last)

    def joules(self) -> float:
        """Return the energy since the last call; a counter that has begun anew is told by its fall."""
        microjoules = 0
        for directory, last in self._last.items():
            now = int((directory / "energy_uj").read_text())
            microjoules += now - last if now >= last else now - last + self._range[directory]
            self._last[directory] = now
        return microjoules / 1e6


class BusyCores:
    """An estimate from processor time."""

    method = f"processor estimated at {WATTS_PER_BUSY_CORE} W a busy core"

    def __init__(self) -> None:
        self._tree = ProcessTree()
        self._last = self._tree.cpu_seconds()

    def joules(self) -> float:
        """Return the estimate since the last call."""
        now = self._tree.cpu_seconds()
        used, self._last = max(now - self._last, 0.0), now
        return used * WATTS_PER_BUSY_CORE


class GpuEnergy:
    """One GPU: its counter, or its power times the time since the last call."""

    def __init__(self, gpu: Gpu) -> None:
        self._gpu = gpu
        self._last, self._time = gpu.joules(), time.monotonic()
        if self._last is not None:
            self.method = "GPU measured by NVML"
        elif gpu.watts() is not None:
            self.method = "GPU measured by NVML, from its power now and then"
        else:
            self.method = "GPU not counted: NVML does not tell its power"

    def joules(self) -> float:
        """Return the energy since the last call."""
        before, since = self._last, self._time
        self._last, self._time = self._gpu.joules(), time.monotonic()
        if before is not None and self._last is not None:
            return max(self._last - before, 0.0)
        return (self._gpu.watts() or 0.0) * (self._time - since)
