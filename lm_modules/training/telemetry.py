"""What a run tells of the machine beside its loss: utilization, load, energy, carbon dioxide.

model FLOPs utilization  =  tokens per second x operations per token / peak of the devices
carbon dioxide           =  energy x carbon intensity of the country's electricity
"""

from __future__ import annotations

import logging

from configs.carbon import carbon_intensity
from configs.pretraining import PretrainingConfig
from lm_modules.hardware.energy import EnergyMeter
from lm_modules.hardware.load import Load
from lm_modules.hardware.peak import TERA, peak
from lm_modules.model.cost import FORMULA
from lm_modules.training.ranks import Ranks
from lm_modules.training.trainer import training_device

logger = logging.getLogger(__name__)

ABOUT = "about_the_figures.txt"


class Telemetry:
    """The figures of one run; `flops_per_token` is None where the objective does not state its operations.

    Utilization is that of all ranks; load and energy are those of this machine.
    """

    def __init__(self, config: PretrainingConfig, vocab_size: int, precision: str, ranks: Ranks) -> None:
        device = training_device(config.compute)
        # a stock model that is trained as it is may have any shape
        flops_per_row = None if config.as_it_is else config.objective.training_flops(config.model, vocab_size)
        self.flops_per_token = None if flops_per_row is None else flops_per_row / config.model.context_length
        self.peak, self._num_devices = peak(device, precision), ranks.count
        self.energy = EnergyMeter(device, ranks.count_here)
        self._load = Load(device, ranks.count_here)
        grams, source = carbon_intensity(config.compute.carbon_country)
        self._grams, self._grid = grams, f"{grams:g} g/kWh, {source}"
        logger.info("about the figures\n%s", self.about())

    def utilization(self, tokens_per_second: float) -> dict[str, float]:
        """Return {"mfu": fraction}; nothing where the operations are not known."""
        if self.flops_per_token is None:
            return {}
        return {"mfu": tokens_per_second * self.flops_per_token / (self.peak.flops_per_second * self._num_devices)}

    def sample(self, seconds: float, *, last: bool = False) -> dict[str, float]:
        """Return load and energy as metrics after so many seconds of training.

        Nothing if the last sample was not long ago and more will come.
        """
        load = self._load.sample(seconds, last=last)
        if not load and not last:
            return {}
        return load | {f"energy/{name}": value for name, value in self._consumed().items()}

    def about(self) -> str:
        """Return how the figures are come by, a line each."""
        operations = "not known" if self.flops_per_token is None else f"{self.flops_per_token / 1e6:,.4g} MFLOP a token"
        return (
            f"mfu = tokens per second x operations per token / peak\n"
            f"operations per token: {operations} = {FORMULA}\n"
            f"peak: {self._num_devices} x {self.peak}\n"
            f"energy: {self.energy.method}\n"
            f"carbon dioxide: {self._grid}\n"
        )

    def figures(self, tokens_per_second: float) -> dict[str, float | str | None]:
        """Return what the run ends with."""
        consumed = self._consumed()
        return {
            "mfu": self.utilization(tokens_per_second).get("mfu"),
            "flops_per_token": self.flops_per_token,
            "flops_formula": FORMULA,
            "peak_teraflops_per_second": self.peak.flops_per_second / TERA,
            "peak_source": self.peak.source,
            "energy_kilowatt_hours": consumed["kilowatt_hours"],
            "energy_source": self.energy.method,
            "co2_kilograms": consumed["co2_kilograms"],
            "co2_source": self._grid,
        }

    def _consumed(self) -> dict[str, float]:
        kilowatt_hours = self.energy.update()
        return {"kilowatt_hours": kilowatt_hours, "co2_kilograms": kilowatt_hours * self._grams / 1000}
