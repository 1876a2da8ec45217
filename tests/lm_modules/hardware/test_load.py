"""How often the machine is looked at."""

import pytest
import torch

from lm_modules.hardware import load


@pytest.fixture
def clock(monkeypatch):
    """Return a list whose only number is the time that the machine believes it to be."""
    now = [100.0]
    monkeypatch.setattr(load.time, "monotonic", lambda: now[0])
    return now


def test_a_sample_is_due_by_the_clock_of_the_work_though_much_time_passes_in_waiting(clock):
    machine, taken = load.Load(torch.device("cpu")), []
    for step in range(1, 121):  # a tenth of a second of work each, and ten seconds of waiting
        clock[0] += 10.0
        taken += [step] if machine.sample(step * 0.1) else []
    assert taken == [1, 51, 101]


def test_a_run_that_goes_on_is_not_sampled_at_once_for_what_it_worked_before(clock):
    machine = load.Load(torch.device("cpu"))
    clock[0] += 1.0
    assert machine.sample(5000.0) == {}
    clock[0] += 4.5
    values = machine.sample(5004.5)
    assert values["system/process_memory_megabytes"] > 10
    assert machine.sample(5005.0) == {}
    clock[0] += 0.2
    assert machine.sample(5005.2, last=True)
