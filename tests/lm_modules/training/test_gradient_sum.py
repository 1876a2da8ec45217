"""Where memory ends in a step, fewer rows go through at once, and nothing else changes."""

import logging
from typing import Any, ClassVar

import pytest
import torch
from tiny_pretraining import tiny_config

from lm_modules.hardware.memory import TooLarge
from lm_modules.objectives.causal_lm import CausalLm
from lm_modules.training import checkpoints
from lm_modules.training.pretraining import Interrupted, pretrain


class SmallMemory(CausalLm):
    """A decoder that takes more memory than there is where more rows than these go through it at once."""

    rows: int
    device: bool = False
    """Whether it is the memory of a GPU."""

    def losses(self, network: Any, batch: Any) -> Any:
        losses = super().losses(network, batch)  # what went before has left its traces
        num_rows = len(batch["tokens"])
        if torch.is_grad_enabled() and num_rows > self.rows:
            if self.device:
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            torch.empty(2**56, dtype=torch.uint8)  # more than any machine can address
        return losses


class ShortInTheMiddle(CausalLm):
    """Memory gets short in the last micro-batch of a step, when others have left their gradients."""

    calls: ClassVar[list[int]] = []
    draws: ClassVar[list[float]] = []

    def losses(self, network: Any, batch: Any) -> Any:
        if torch.is_grad_enabled():
            self.calls.append(len(batch["tokens"]))
            self.draws.append(float(torch.rand(())))  # as dropout would
            if len(self.calls) == 10:  # the second micro-batch of the fifth step
                torch.empty(2**56, dtype=torch.uint8)
        return super().losses(network, batch)


def run(text, workdir, objective=None, report=None, **changes):
    config = tiny_config(compute__progress_every_seconds=0.0, optimization__budget_steps=8, **changes)
    config = config.model_copy(update={"objective": objective or CausalLm()})
    arguments = {} if report is None else {"report": report}
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, **arguments)


def weights(workdir):
    return checkpoints.read_tensors(workdir / "checkpoints" / "step-00000008", "model")


def assert_equal_bits(one, other):
    for name in one:
        assert torch.equal(one[name], other[name]), name


@pytest.mark.parametrize("device", [False, True])
@pytest.mark.parametrize("ranks", [1, 2])
def test_the_micro_batch_is_halved_until_it_fits(text, tmp_path, caplog, ranks, device):
    with caplog.at_level(logging.WARNING):
        run(text, tmp_path / "small", SmallMemory(rows=2, device=device), compute__devices=ranks)
    said = [each.getMessage() for each in caplog.records if "out of memory" in each.getMessage()]
    assert [each.split(":")[0] for each in said] == [
        f"out of memory with {rows} rows at once" for rows in ((8, 4) if ranks == 1 else (4,))
    ]
    run(text, tmp_path / "cut", optimization__micro_batch_rows=2, compute__devices=ranks)
    assert_equal_bits(weights(tmp_path / "small"), weights(tmp_path / "cut"))
    state = checkpoints.read_state(tmp_path / "small" / "checkpoints" / "step-00000008")
    assert state["halved_micro_batch_rows"] == 2


def test_no_part_of_a_gradient_survives(text, tmp_path):
    ShortInTheMiddle.calls.clear()
    ShortInTheMiddle.draws.clear()
    run(text, tmp_path / "short", ShortInTheMiddle(), optimization__micro_batch_rows=4)
    assert ShortInTheMiddle.calls == [4] * 10 + [2] * 16
    draws = ShortInTheMiddle.draws
    assert draws[10:12] == draws[8:10]  # the step that is repeated draws what it drew
    assert len(set(draws)) == len(draws) - 2
    run(text, tmp_path / "cut", optimization__micro_batch_rows=4)
    for name, weight in weights(tmp_path / "cut").items():
        torch.testing.assert_close(weights(tmp_path / "short")[name], weight, rtol=1e-4, atol=1e-5)


def test_a_resumed_run_begins_with_what_fitted(text, tmp_path, caplog):
    caplog.set_level(logging.INFO)
    with pytest.raises(Interrupted):
        run(text, tmp_path, SmallMemory(rows=1), lambda step, values: step == 3)
    assert caplog.text.count("out of memory") == 3
    caplog.clear()
    run(text, tmp_path, SmallMemory(rows=1))
    assert "continuing from" in caplog.text
    assert "out of memory" not in caplog.text


def test_a_row_that_does_not_fit_is_an_error_with_the_remedy(text, tmp_path):
    with pytest.raises(TooLarge, match=r"a single row at once; shorten model\.context_length"):
        run(text, tmp_path, SmallMemory(rows=0))


@pytest.mark.parametrize("device", [False, True])
def test_an_optimizer_that_does_not_fit_is_an_error_with_the_remedy(text, tmp_path, monkeypatch, device):
    def begin(*arguments):
        if device:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        torch.empty(2**56, dtype=torch.uint8)

    monkeypatch.setattr(torch.optim.AdamW, "_init_group", begin)
    with pytest.raises(TooLarge, match=r"the optimizer's step .*Lower model\.width or model\.depth"):
        run(text, tmp_path)


def test_other_errors_of_the_network_stay_what_they_are(text, tmp_path):
    class Broken(CausalLm):
        def losses(self, network, batch):
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        run(text, tmp_path, Broken())
