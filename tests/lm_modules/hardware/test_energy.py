import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from configs.carbon import carbon_intensity
from configs.compute import ComputeConfig
from lm_modules.hardware.energy import WATTS_PER_BUSY_CORE, EnergyMeter, GpuEnergy, Rapl
from lm_modules.hardware.load import Load, ProcessTree

CPU = torch.device("cpu")
JOULES = 3.6e6


def domain(powercap: Path, directory: str, name: str, microjoules: int) -> Path:
    path = powercap / directory
    path.mkdir(parents=True, exist_ok=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text("262143328850\n")
    return path


def test_packages_and_memory_are_added_and_what_lies_within_them_is_not(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 1_000_000)
    other = domain(tmp_path, "intel-rapl:1", "package-1", 5_000_000)
    core = domain(tmp_path, "intel-rapl:0:0", "core", 0)
    memory = domain(tmp_path, "intel-rapl:0:1", "dram", 7)
    meter = EnergyMeter(CPU, powercap=tmp_path)
    for path, microjoules in ((package, 4_000_000), (other, 6_000_000), (core, 2_000_000), (memory, 500_007)):
        (path / "energy_uj").write_text(f"{microjoules}\n")
    assert meter.update() == pytest.approx(4.5 / JOULES)
    assert "measured by RAPL" in meter.method


def test_a_counter_that_ran_over_goes_on_from_its_range(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 262_143_000_000)
    rapl = Rapl(tmp_path)
    (package / "energy_uj").write_text("671150\n")
    assert rapl.joules() == pytest.approx((262143328850 - 262143000000 + 671150) / 1e6)


def test_a_counter_that_is_kept_from_us_leaves_the_estimate(tmp_path):
    package = domain(tmp_path, "intel-rapl:0", "package-0", 1)
    (package / "energy_uj").unlink()  # as unreadable as for anyone but root
    assert "estimated" in EnergyMeter(CPU, powercap=tmp_path).method


def test_the_estimate_is_the_time_of_this_process_and_its_children(tmp_path):
    meter = EnergyMeter(CPU, kilowatt_hours=1.0, powercap=tmp_path)
    before = time.process_time()
    while time.process_time() - before < 0.5:
        sum(range(10_000))
    mine = (meter.update() - 1.0) * JOULES
    assert mine == pytest.approx(0.5 * WATTS_PER_BUSY_CORE, rel=0.2)
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True)
    assert (meter.update() - 1.0) * JOULES - mine == pytest.approx(0.5 * WATTS_PER_BUSY_CORE, rel=0.3)


class CountingGpu:
    def __init__(self, joules, watts):
        self._joules, self._watts = list(joules), watts

    def joules(self):
        return self._joules.pop(0)

    def watts(self):
        return self._watts


def test_a_gpu_is_counted_by_its_counter_else_by_its_power_else_said_not_to_be():
    counted = GpuEnergy(CountingGpu([100.0, 130.0], 300.0))
    assert counted.joules() == 30
    drawing = GpuEnergy(CountingGpu([None, None], 300.0))
    time.sleep(0.1)
    assert 30 <= drawing.joules() < 300
    assert "power now and then" in drawing.method
    silent = GpuEnergy(CountingGpu([None, None], None))
    assert silent.joules() == 0
    assert "not counted" in silent.method


def test_memory_and_time_of_children_belong_to_the_tree():
    tree = ProcessTree()
    alone = tree.resident_bytes()
    program = "import sys\nhoard = bytearray(200_000_000)\nprint('ready', flush=True)\nsys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        assert tree.resident_bytes() - alone > 190e6


def test_a_load_is_sampled_now_and_then_and_at_the_end():
    load = Load(CPU)
    time.sleep(0.2)
    assert load.sample(0.0) == {}
    sample = load.sample(0.2, last=True)
    assert set(sample) == {
        "system/cpu_utilization_percentage",
        "system/process_busy_cores",
        "system/process_memory_megabytes",
    }
    assert 0 <= sample["system/process_busy_cores"] < 0.8
    assert sample["system/process_memory_megabytes"] > 50


def test_the_grid_is_that_of_the_country_or_of_the_world_and_says_which():
    assert carbon_intensity("FRA") == (56, "FRA in 2023, Our World in Data")
    assert "world average" in carbon_intensity(None)[1]
    assert carbon_intensity("POL")[0] > carbon_intensity(None)[0] > carbon_intensity("NOR")[0]


def test_an_unknown_country_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="country 'GER'; did you mean"):
        ComputeConfig(carbon_country="GER")
