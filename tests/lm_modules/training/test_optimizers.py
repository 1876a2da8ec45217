import math

import pytest
import torch
from torch import nn

from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from lm_modules.model.scaled import initialize
from lm_modules.model.transformer import build_transformer
from lm_modules.training.optimizers import build_optimizers, clip_gradient, gradient_norm, set_learning_rate


@pytest.fixture
def parts():
    torch.set_num_threads(1)
    model = ModelConfig(width=32, depth=2, head_width=16, context_length=32)
    scales = model.parametrization.scales(model, 50, 256)
    network = build_transformer(model, 50, scales, causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    return network, model.parametrization.scaling(50, 256)


def test_decay_takes_the_same_part_of_every_weight_whatever_it_learns_at(parts):
    network, _ = parts
    (optimizer,) = build_optimizers(network, OptimizationConfig(learning_rate=2.0, weight_decay=0.01, budget_steps=1))
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate([optimizer], 0.5)
    optimizer.step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] * (1 - 0.01 * 0.5))


def test_first_step_moves_each_weight_by_its_own_learning_rate(parts):
    network, _ = parts
    (optimizer,) = build_optimizers(network, OptimizationConfig(learning_rate=2.0, budget_steps=1))
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
    network, scaling = parts
    weights = list(network.parameters())
    for each in weights:
        each.grad = torch.full_like(each, 3.0)
    norm = gradient_norm(weights, scaling)
    assert norm.item() == pytest.approx(3.0, rel=1e-5)
    clip_gradient(weights, norm.item(), 5.0)
    assert gradient_norm(weights, scaling).item() == pytest.approx(3.0, rel=1e-5)
    clip_gradient(weights, norm.item(), 1.5)
    assert gradient_norm(weights, scaling).item() == pytest.approx(1.5, rel=1e-5)


def test_a_weight_without_a_multiplier_is_refused(parts):
    network, _ = parts
    network.extra = nn.Linear(3, 3)
    with pytest.raises(ValueError, match=r"no multiplier for extra\.weight"):
        build_optimizers(network, OptimizationConfig(budget_steps=1))


@pytest.mark.parametrize("parametrization", ["u_mup", "standard"])
def test_muon_moves_the_output_of_every_hidden_matrix_alike(parametrization):
    model = ModelConfig(width=64, depth=4, head_width=16, context_length=32, parametrization=parametrization)
    network = build_transformer(model, 50, model.parametrization.scales(model, 50, 256), causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    config = OptimizationConfig(optimizer="muon", learning_rate=0.5, muon_learning_rate=0.02, budget_steps=1)
    adamw, muon = build_optimizers(network, config)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for seed, parameter in enumerate(network.parameters()):
        parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed))
    adamw.step()
    muon.step()
    moved_by_muon = {id(parameter) for group in muon.param_groups for parameter in group["params"]}
    for name, parameter in network.named_parameters():
        assert (id(parameter) in moved_by_muon) == name.startswith("layers.")
        if id(parameter) in moved_by_muon:
            forward = 64**-0.5 if "down" not in name else model.feed_forward**-0.5
            scale = forward if parametrization == "u_mup" else 1.0
            # how far an input of unit length per sqrt(width) moves an output, per sqrt(width)
            moved = torch.linalg.svdvals(before[name] - parameter.detach()) * scale
            moved = moved * math.sqrt(parameter.shape[1] / parameter.shape[0])
            expected = 0.02 * (0.5 if parametrization == "u_mup" else 1.0)  # u-muP divides by sqrt(depth)
            assert 0.5 * expected < moved.median() < 1.4 * expected, name


def test_muon_keeps_decay_independent_of_the_learning_rate():
    model = ModelConfig(width=32, depth=2, head_width=16, context_length=32)
    network = build_transformer(model, 50, model.parametrization.scales(model, 50, 256), causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    config = OptimizationConfig(optimizer="muon", muon_learning_rate=0.02, weight_decay=0.01, budget_steps=1)
    optimizers = build_optimizers(network, config)
    before = {name: parameter.detach().clone() for name, parameter in network.named_parameters()}
    for parameter in network.parameters():
        parameter.grad = torch.zeros_like(parameter)
    set_learning_rate(optimizers, 0.5)
    for each in optimizers:
        each.step()
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(parameter.detach(), before[name] * (1 - 0.01 * 0.5))
