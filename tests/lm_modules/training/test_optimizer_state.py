"""What an optimizer remembers goes to the device of the weights; `meta` stands for the device that is not here."""

import pytest
import torch
from tiny_pretraining import tiny_config

from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.training.finetuning import FineTuning
from lm_modules.training.finetuning_state import FinetuningState
from lm_modules.training.optimizers import build_optimizers
from lm_modules.training.pretraining_module import PretrainingModule
from lm_modules.training.pretraining_state import optimizer_tensors, restore_optimizers
from lm_modules.training.ranks import Ranks


def pretraining(device):
    """Return a network there and what moves it."""
    config = tiny_config(optimization__optimizer="muon")
    network = config.objective.network(config.model, Vocabulary(50, 0), 256)
    initialize(network, torch.Generator().manual_seed(0))
    network.to(device)
    return network, build_optimizers(network, config.optimization), config


def moved(network, optimizers):
    for each in network.parameters():
        each.grad = torch.ones_like(each)
    for optimizer in optimizers:
        optimizer.step()


def devices(optimizers):
    return {
        (name, value.device.type)
        for optimizer in optimizers
        for state in optimizer.state.values()
        for name, value in state.items()
    }


EVERYTHING = {("step", "meta"), ("exp_avg", "meta"), ("exp_avg_sq", "meta")}


def test_a_restored_pretraining_has_all_its_state_beside_the_weights_as_torch_would():
    network, optimizers, _ = pretraining("cpu")
    moved(network, optimizers)
    elsewhere, others, _ = pretraining("meta")
    restore_optimizers(elsewhere, others, optimizer_tensors(network, optimizers))
    reference = [type(each)(each.param_groups) for each in others]
    for each, optimizer in zip(reference, optimizers, strict=True):
        each.load_state_dict(optimizer.state_dict())
    assert devices(others) == devices(reference) == EVERYTHING | {("momentum_buffer", "meta")}


def test_weights_that_move_once_all_is_restored_take_it_along():
    network, optimizers, config = pretraining("cpu")
    moved(network, optimizers)
    elsewhere, _, _ = pretraining("meta")
    module = PretrainingModule(
        network=elsewhere,
        objective=config.objective,
        vocabulary=Vocabulary(50, 0),
        scaling=config.model.parametrization.scaling(50, 256),
        optimization=config.optimization,
        batch_sizes=config.batch_sizes,
        steps=1,
        key=0,
        ranks=Ranks(),
    )
    names = dict(network.named_parameters())
    for name, parameter in elsewhere.named_parameters():
        for ours, theirs in zip(module.moved_by, optimizers, strict=True):
            if names[name] in theirs.state:
                ours.state[parameter] = dict(theirs.state[names[name]])
    assert ("step", "cpu") in devices(module.moved_by)
    module.on_train_start()
    assert devices(module.moved_by) == EVERYTHING | {("momentum_buffer", "meta")}


@pytest.mark.parametrize("late", [False, True])
def test_a_restored_finetuning_has_all_its_state_beside_the_weights(tmp_path, late):
    from configs.finetuning import FinetuningOptimizationConfig

    def finetuning(device):
        network = torch.nn.ModuleList([torch.nn.Linear(3, 3)])
        network = torch.nn.ModuleDict({"layers": network}).to(device)
        module = FineTuning(network, None, FinetuningOptimizationConfig(learning_rate=1e-3, layer_decay=1.0), 10, 0, 0)
        return network, module

    network, module = finetuning("cpu")
    moved(network, [module.optimizer])
    FinetuningState(tmp_path, "same").save(network, module.optimizer)
    elsewhere, other = finetuning("meta")
    if late:
        for here, there in zip(network.parameters(), elsewhere.parameters(), strict=True):
            other.optimizer.state[there] = dict(module.optimizer.state[here])
        other.on_train_start()
    else:
        FinetuningState(tmp_path, "same").restore(elsewhere, other.optimizer)
    assert devices([other.optimizer]) == EVERYTHING
