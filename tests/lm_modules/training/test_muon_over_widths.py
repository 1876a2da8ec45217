"""Muon's steps are of one size at every width (feature learning; Yang et al. 2023, arXiv 2310.17813, section 2)."""

import pytest
import torch
from torch import nn

from configs.model import ModelConfig
from configs.optimization import OptimizationConfig
from lm_modules.model.attention import Attention
from lm_modules.model.feed_forward import FeedForward
from lm_modules.model.scaled import ScaledLinear, initialize
from lm_modules.model.transformer import build_transformer
from lm_modules.training.optimizers import build_optimizers

NARROW, WIDE = 64, 256


def build(width, parametrization):
    shape = {"width": width, "depth": 2, "head_width": 16, "feed_forward_width": 3 * width, "context_length": 32}
    model = ModelConfig(**shape, parametrization=parametrization)
    network = build_transformer(model, 100, model.parametrization.scales(model, 100, 512), causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    settings = {"optimizer": "muon", "muon_learning_rate": 0.02, "learning_rate": 1e-3}
    _, muon = build_optimizers(network, OptimizationConfig(budget_steps=1, **settings))
    return network, muon


def outputs(network: nn.Module, kinds, run) -> dict[str, torch.Tensor]:
    """Return what the modules of these kinds give out while `run` is called."""
    seen: dict[str, torch.Tensor] = {}
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, output, name=name: seen.update({name: output.detach()}))
        for name, module in network.named_modules()
        if isinstance(module, kinds)
    ]
    with torch.no_grad():
        run()
    for hook in hooks:
        hook.remove()
    return seen


def change_of_branches(width: int, parametrization: str) -> dict[str, float]:
    """Return by how much one step of Muon on a real loss changes what every branch adds to the stream."""
    network, muon = build(width, parametrization)
    tokens = torch.randint(0, 100, (16, 33), generator=torch.Generator().manual_seed(1))
    before = outputs(network, (Attention, FeedForward), lambda: network(tokens[:, :-1]))
    network.nats(tokens[:, :-1], tokens[:, 1:]).backward()
    muon.step()
    after = outputs(network, (Attention, FeedForward), lambda: network(tokens[:, :-1]))
    return {name: (after[name] - before[name]).square().mean().sqrt().item() for name in before}


def test_one_step_changes_every_branch_alike_at_four_times_the_width_under_u_mup():
    narrow, wide = change_of_branches(NARROW, "u_mup"), change_of_branches(WIDE, "u_mup")
    assert len(narrow) == 4
    # a multiplier that lacks sqrt(width) would halve or double each; so many rows and columns leave a rest
    assert all(0.7 < wide[name] / narrow[name] < 1.4 for name in narrow), (narrow, wide)
    assert all(0.005 < each < 0.5 for each in narrow.values())


def test_under_standard_the_branches_move_more_in_a_wider_model():
    # the multipliers are right (see below), but its first weights are not of one size at every width
    narrow, wide = change_of_branches(NARROW, "standard"), change_of_branches(WIDE, "standard")
    assert all(wide[name] / narrow[name] > 1.8 for name in narrow), (narrow, wide)


def change_of_matrices(width: int, parametrization: str) -> dict[str, float]:
    """Return by how much a step along a random gradient changes what each hidden matrix makes of unit inputs."""
    network, muon = build(width, parametrization)
    changes, matrices = {}, {n: m for n, m in network.layers.named_modules() if isinstance(m, ScaledLinear)}
    inputs = {name: torch.randn(64, each.weight.shape[1]) for name, each in matrices.items()}
    before = {name: each(inputs[name]).detach() for name, each in matrices.items()}
    for each in matrices.values():
        each.weight.grad = torch.randn_like(each.weight)
    muon.step()
    for name, each in matrices.items():
        constant = each.scale.forward / each.weight.shape[1] ** -0.5 if parametrization == "u_mup" else 1.0
        changes[name] = ((each(inputs[name]) - before[name]) / constant).square().mean().sqrt().item()
    return changes


@pytest.mark.parametrize("parametrization", ["u_mup", "standard"])
def test_each_matrix_moves_its_output_alike_at_any_width_whatever_its_shape(parametrization):
    torch.manual_seed(0)
    narrow, wide = change_of_matrices(NARROW, parametrization), change_of_matrices(WIDE, parametrization)
    assert len(narrow) == 2 * 7
    for name in narrow:
        # Muon's polynomial leaves singular values between 0.7 and 1.2; a lacking sqrt(width) would be a factor of 2
        assert wide[name] == pytest.approx(narrow[name], rel=0.2), name
