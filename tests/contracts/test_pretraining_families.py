"""What every objective and every parametrization must do."""

import pickle

import pytest
import torch

from configs.component import members
from configs.model import ModelConfig
from lm_modules.objectives import NOT_SCORED, Vocabulary
from lm_modules.training.optimizers import build_adamw

OBJECTIVES = members("lm_modules.objectives")
PARAMETRIZATIONS = members("lm_modules.model.parametrization")
VOCABULARY = Vocabulary(size=64, end_of_text_id=0)
BATCH_TOKENS = 256


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def shape(parametrization="u_mup") -> ModelConfig:
    return ModelConfig(width=32, depth=2, head_width=16, context_length=32, parametrization=parametrization)


@pytest.mark.parametrize("kind", [*OBJECTIVES, *PARAMETRIZATIONS])
def test_settings_survive_json_and_pickle_and_say_what_they_are(kind):
    member = (OBJECTIVES | PARAMETRIZATIONS)[kind]
    settings = member()
    assert member.model_validate_json(settings.model_dump_json()) == settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    assert member.__doc__
    assert all(field.description for field in member.model_fields.values())


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_equal_generators_give_equal_batches_and_the_text_is_left_alone(kind):
    objective = OBJECTIVES[kind]()
    length = objective.row_length(32)
    tokens = torch.randint(1, VOCABULARY.size, (4, length), generator=torch.Generator().manual_seed(0))
    before = tokens.clone()
    one, other = (objective.corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(tokens, before)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert (one["labels"] != NOT_SCORED).any()
    assert {len(tensor) for tensor in one.values()} == {4}


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_the_loss_falls_in_thirty_steps_on_a_periodic_text(kind, parametrization):
    from configs.optimization import OptimizationConfig

    objective, model = OBJECTIVES[kind](), shape(parametrization)
    scales = model.parametrization.scales(model, VOCABULARY.size, BATCH_TOKENS)
    network = objective.network(model, VOCABULARY, BATCH_TOKENS)
    network.initialize(scales, torch.Generator().manual_seed(0))
    learning_rate = {"standard": 0.005}.get(parametrization, 0.5)
    optimizer = build_adamw(network, OptimizationConfig(learning_rate=learning_rate, budget_steps=30), scales)
    text = torch.arange(1, 8).repeat(64)
    losses = []
    for step in range(30):
        starts = torch.randint(0, 300, (8,), generator=torch.Generator().manual_seed(step)).tolist()
        rows = torch.stack([text[start : start + objective.row_length(32)] for start in starts])
        batch = objective.corrupt(rows, VOCABULARY, torch.Generator().manual_seed(step))
        loss = objective.losses(network, batch)["loss"]
        (loss * scales.loss_gradient).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", PARAMETRIZATIONS)
def test_the_table_names_every_weight(kind):
    model = shape(kind)
    scales = model.parametrization.scales(model, VOCABULARY.size, BATCH_TOKENS)
    assert set(scales.matrices) == {
        *("embedding", "query", "key", "value", "output", "gate", "up", "down", "readout"),
    }
    assert all(scale.initial_std > 0 and scale.learning_rate > 0 for scale in scales.matrices.values())
