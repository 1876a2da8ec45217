"""Our Muon beside PyTorch's: the same steps, many matrices at once."""

import pytest
import torch

from lm_modules.training import muon
from lm_modules.training.muon import Muon, orthogonalized

SHAPES = [(16, 16), (48, 16), (16, 48), (16, 16), (48, 16), (16, 16), (24, 40)]
LEARNING_RATE = 0.02


def matrices(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def moved(kind, steps=4):
    """Return the weights after some steps of two groups, and the optimizer: they differ in rate, decay and momentum."""
    weights = matrices(0)
    groups = [
        {"params": weights[:3], "lr": 3 * LEARNING_RATE},
        {"params": weights[3:], "weight_decay": 0.5, "momentum": 0.8},
    ]
    optimizer = kind(groups, lr=LEARNING_RATE, momentum=0.9)
    for step in range(1, steps + 1):
        for weight, gradient in zip(weights[:-1], matrices(step), strict=False):  # the last one has none
            weight.grad = gradient.detach()
        optimizer.step()
    return weights, optimizer


@pytest.mark.parametrize("largest_stack", [muon.LARGEST_STACK, 2 * 48 * 16, 1])
def test_steps_are_those_of_pytorch_however_many_go_at_once(largest_stack, monkeypatch):
    monkeypatch.setattr(muon, "LARGEST_STACK", largest_stack)
    (ours, optimizer), (theirs, reference) = moved(Muon), moved(torch.optim.Muon)
    begin = matrices(0)
    for mine, other, before in zip(ours, theirs, begin, strict=True):
        # bfloat16 has 8 bits, and a sum in another order may change the last one
        assert (mine - other).abs().max() <= 0.02 * (other - before).abs().max()
    assert all(not torch.equal(mine, before) for mine, before in zip(ours[:-1], begin, strict=False))
    assert torch.equal(ours[-1], begin[-1])
    state, their_state = optimizer.state_dict(), reference.state_dict()
    assert state["param_groups"] == their_state["param_groups"]
    for number, each in their_state["state"].items():
        assert torch.equal(state["state"][number]["momentum_buffer"], each["momentum_buffer"])


@pytest.mark.parametrize(
    "setting", [{"nesterov": False}, {"adjust_lr_fn": "match_rms_adamw"}, {"ns_steps": 3}, {"eps": 1e-3}]
)
def test_a_setting_that_would_be_ignored_is_refused(setting):
    with pytest.raises(TypeError, match=next(iter(setting))):
        Muon(matrices(0), **setting)
    with pytest.raises(ValueError, match=f"Muon takes no {next(iter(setting))} of a group"):
        Muon([{"params": matrices(0), **setting}])


def test_a_direction_gets_singular_values_near_one():
    directions = torch.randn(5, 16, 48, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalized(directions, (3.4445, -4.775, 2.0315), 5, 1e-7).float())
    assert 0.6 < values.min() <= values.max() < 1.3
