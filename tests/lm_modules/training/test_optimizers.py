import math

import pytest
import torch
from torch import nn

from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from lm_modules.model.transformer import build_decoder
from lm_modules.training.optimizers import build_adamw, clip_gradient, gradient_norm, set_learning_rate


@pytest.fixture
def parts():
    torch.set_num_threads(1)
    model = ModelConfig(width=32, depth=2, head_width=16, context_length=32)
    scales = model.parametrization.scales(model, 50, 256)
    network = build_decoder(model, 50, scales)
    network.initialize(scales, torch.Generator().manual_seed(0))
    return network, scales


def test_decay_takes_the_same_part_of_every_weight_whatever_it_learns_at(parts):
    network, scales = parts
    optimizer = build_adamw(network, OptimizationConfig(learning_rate=2.0, weight_decay=0.01, budget_steps=1), scales)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimizer, 0.5)
    optimizer.step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] * (1 - 0.01 * 0.5))


def test_first_step_moves_each_weight_by_its_own_learning_rate(parts):
    network, scales = parts
    optimizer = build_adamw(network, OptimizationConfig(learning_rate=2.0, budget_steps=1), scales)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    expected = {"embedding": 2 / math.sqrt(32), "query": 2 / math.sqrt(32 * 2), "down": 2 / math.sqrt(128 * 2)}
    for name, parameter in network.named_parameters():
        matrix = name.split(".")[-2]
        if matrix in expected:
            moved = (before[name] - parameter.detach()).mean().item()
            assert moved == pytest.approx(expected[matrix], rel=1e-4), name
    assert len(optimizer.param_groups) == 4


def test_gradient_length_is_in_units_of_sqrt_parameters_and_clipping_shortens_it(parts):
    network, scales = parts
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    norm = gradient_norm(network, scales)
    assert norm.item() == pytest.approx(3.0, rel=1e-5)
    clip_gradient(network, norm, 5.0)
    assert gradient_norm(network, scales).item() == pytest.approx(3.0, rel=1e-5)
    clip_gradient(network, norm, 1.5)
    assert gradient_norm(network, scales).item() == pytest.approx(1.5, rel=1e-5)


def test_a_weight_without_a_multiplier_is_refused(parts):
    network, scales = parts
    network.extra = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"no multiplier for extra\.weight"):
        build_adamw(network, OptimizationConfig(budget_steps=1), scales)
