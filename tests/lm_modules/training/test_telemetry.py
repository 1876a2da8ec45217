import logging
import time

import pytest
import torch
from tiny_pretraining import SENTENCE, tiny_config

from configs.component import members
from lm_modules.data.batches import Batches
from lm_modules.hardware import energy, load
from lm_modules.objectives.causal_lm import CausalLm
from lm_modules.training import checkpoints
from lm_modules.training.pretraining import Interrupted, pretrain
from lm_modules.training.ranks import _place_from_torchrun, train_together
from lm_modules.training.telemetry import Telemetry

WRITING = {"causal_lm", "masked_lm", "mixture", "span_denoising"}


def run(text, workdir, report=None, **changes):
    seen = []

    def note(step, values):
        seen.append((step, values))
        return bool(report and report(step, values))

    config = tiny_config(compute__progress_every_seconds=0.0, **changes)
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=note), seen


def _follow(ranks):
    return ranks


@pytest.mark.parametrize("by_torchrun", [True, False])
def test_energy_and_load_are_of_the_ranks_of_this_machine_and_utilization_of_all(monkeypatch, by_torchrun):
    asked = []
    for module in (energy, load):
        monkeypatch.setattr(module, "gpus", lambda device, count: asked.append(count) or [])
    if by_torchrun:  # three of eight ranks are here
        names = {"RANK": "0", "WORLD_SIZE": "8", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "3"}
        for name, value in names.items():
            monkeypatch.setenv(name, value)
        ranks, config = _place_from_torchrun(), tiny_config()
    else:
        config = tiny_config(compute__devices=2)
        with train_together(config.compute, _follow) as ranks:
            assert ranks.count == 2
    about = Telemetry(config, 271, "float32", ranks).about()
    assert asked == ([3, 3] if by_torchrun else [2, 2])
    assert f"peak: {8 if by_torchrun else 2} x " in about


def samples_of(seen):
    return {name: value for _, values in seen for name, value in values.items() if name.startswith("samples/")}


def test_utilization_is_operations_over_the_stated_peak(text, tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        result, seen = run(text, tmp_path)
    model = tiny_config().model
    flops = CausalLm().training_flops(model, 263 + 8) / model.context_length
    assert result["flops_per_token"] == pytest.approx(flops, rel=0.05)
    peak = result["peak_teraflops_per_second"] * 1e12
    assert result["mfu"] == pytest.approx(result["tokens_per_second"] * result["flops_per_token"] / peak)
    for _, values in seen:
        if "train/mfu" in values:
            stated = values["train/tokens_per_second"] * result["flops_per_token"] / peak
            assert values["train/mfu"] == pytest.approx(stated)
    (about,) = [values["about_the_figures.txt"] for _, values in seen if "about_the_figures.txt" in values]
    for part in (result["flops_formula"], result["peak_source"], result["energy_source"], result["co2_source"]):
        assert part in about
    assert about in caplog.text


def test_waiting_for_batches_is_told_apart_from_training(text, tmp_path, monkeypatch):
    quick, slow = Batches.__getitem__, 0.2

    def waits(seen):
        return [values["train/data_wait_fraction"] for _, values in seen if "train/loss" in values]

    _, seen = run(text, tmp_path / "quick", optimization__budget_steps=8, validation_every_steps=1)
    usual = waits(seen)

    def slowly(self, step):
        time.sleep(slow)
        return quick(self, step)

    monkeypatch.setattr(Batches, "__getitem__", slowly)
    _, seen = run(text, tmp_path / "slow", optimization__budget_steps=8, validation_every_steps=1)
    waited = waits(seen)
    assert all(0 <= each <= 1 for each in usual + waited)
    assert sorted(waited)[4] > 0.6 > sorted(usual)[4]


def test_energy_and_carbon_are_kept_when_a_run_is_continued(text, tmp_path):
    with pytest.raises(Interrupted) as stopped:
        run(text, tmp_path, lambda step, values: step >= 12, compute__carbon_country="FRA")
    before = checkpoints.read_state(stopped.value.checkpoint)["energy_kilowatt_hours"]
    assert before > 0
    result, seen = run(text, tmp_path, compute__carbon_country="FRA")
    assert result["energy_kilowatt_hours"] > before
    live = [values["energy/kilowatt_hours"] for _, values in seen if "energy/kilowatt_hours" in values]
    assert before <= live[-1] <= result["energy_kilowatt_hours"]
    assert result["co2_kilograms"] == pytest.approx(result["energy_kilowatt_hours"] * 0.056)


def test_samples_disturb_no_bit_of_training(text, tmp_path):
    often, _ = run(text, tmp_path / "often", validation_every_steps=2)
    never, _ = run(text, tmp_path / "never", validation_every_steps=None)
    one, other = (
        checkpoints.read_tensors(checkpoints.newest(tmp_path / each / "checkpoints"), "model")
        for each in ("often", "never")
    )
    assert often["validation_loss_nats"] == never["validation_loss_nats"]
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_samples_are_the_same_for_the_same_weights_and_go_on_where_the_text_left(text, tmp_path, caplog):
    changes = {"optimization__budget_steps": 200, "validation_every_steps": 100, "model__context_length": 64}
    with caplog.at_level(logging.INFO):
        _, seen = run(text, tmp_path / "one", **changes)
    samples = samples_of(seen)
    assert list(samples) == ["samples/step-00000100.txt", "samples/step-00000200.txt"]
    assert samples == samples_of(run(text, tmp_path / "other", **changes)[1])
    given, _, written = samples["samples/step-00000200.txt"].partition("\n\nwritten:\n")
    assert given == "given:\n<|endoftext|>" + SENTENCE[:15]
    # by now it knows the text by heart; where a document ends after so many repeats it cannot know
    assert (SENTENCE * 3)[15:].startswith(written.strip("\n").replace("<|endoftext|>", ""))
    assert len(written) > 40
    assert written in caplog.text


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_what_an_objective_writes_is_whole(text, tmp_path, kind):
    _, seen = run(text, tmp_path, objective=kind, optimization__budget_steps=2, model__context_length=8)
    samples = samples_of(seen)
    assert bool(samples) == (kind in WRITING)
    for sample in samples.values():
        assert sample.startswith("given:\n")
        assert len(sample.split("written:\n")[1].strip()) > 0


def test_bits_per_byte_are_told_of_the_text_as_it_stands_alone(text, tmp_path):
    filling = {"kind": "causal_lm", "fill_in_middle_fraction": 0.5}
    told = {}
    for name, objective in (
        ("plain", "causal_lm"),
        ("filling", filling),
        ("mixture", {"kind": "mixture", "parts": {"a": {}, "b": {}}}),
        ("filling_mixture", {"kind": "mixture", "parts": {"a": {}, "b": {"objective": filling}}}),
    ):
        result, seen = run(text, tmp_path / name, objective=objective, optimization__budget_steps=1)
        told[name] = any("validation/bits_per_byte" in values for _, values in seen)
        assert (result["validation_bits_per_byte"] is not None) == told[name]
    assert told == {"plain": True, "filling": False, "mixture": True, "filling_mixture": False}
