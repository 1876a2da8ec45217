"""What every objective and every parametrization must do."""

import pickle

import pytest
import torch

from configs.component import members
from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize, scales_of
from lm_modules.training.optimizers import build_optimizers

OBJECTIVES = members("lm_modules.objectives")
PARAMETRIZATIONS = members("lm_modules.model.parametrization")
NAMES = (*SPECIAL, *(sentinel(number) for number in range(8)))
VOCABULARY = Vocabulary(size=64, end_of_text_id=0, special=tuple((name, index) for index, name in enumerate(NAMES)))
FIRST_ORDINARY = len(NAMES)
BATCH_TOKENS = 256


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
    tokens = torch.randint(FIRST_ORDINARY, VOCABULARY.size, (4, length), generator=torch.Generator().manual_seed(0))
    before = tokens.clone()
    one, other = (objective.corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(tokens, before)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert objective.num_rows(one) == 4
    assert all(tensor.shape[1] <= 32 for name, tensor in one.items() if name.endswith("tokens"))
    assert set(objective.weights()) == set(objective.num_scored(one))
    assert all(count > 0 for count in objective.num_scored(one).values())


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_the_pieces_of_a_batch_are_the_batch(kind):
    objective = OBJECTIVES[kind]()
    tokens = torch.randint(FIRST_ORDINARY, VOCABULARY.size, (7, objective.row_length(32)))
    batch = objective.corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(1))
    for rows in (1, 2, 3, 7, 9):
        pieces = [objective.cut(batch, start, rows) for start in range(0, 7, rows)]
        assert [objective.num_rows(piece) for piece in pieces] == [min(rows, 7 - start) for start in range(0, 7, rows)]
        for name, tensor in batch.items():
            assert torch.equal(torch.cat([piece[name] for piece in pieces if name in piece]), tensor)
        counts = [objective.num_scored(piece) for piece in pieces]
        for name, count in objective.num_scored(batch).items():
            assert sum(int(each[name]) for each in counts) == int(count)


@pytest.mark.parametrize("kind", OBJECTIVES)
@pytest.mark.parametrize("parametrization", PARAMETRIZATIONS)
def test_the_loss_falls_in_forty_steps_on_a_periodic_text(kind, parametrization):
    from configs.optimization import OptimizationConfig

    objective, model = OBJECTIVES[kind](), shape(parametrization)
    network = objective.network(model, VOCABULARY, BATCH_TOKENS)
    initialize(network, torch.Generator().manual_seed(0))
    learning_rate = {"standard": 0.005}.get(parametrization, 0.5)
    (optimizer,) = build_optimizers(network, OptimizationConfig(learning_rate=learning_rate, budget_steps=40))
    scaling = model.parametrization.scaling(VOCABULARY.size, BATCH_TOKENS)
    text = torch.arange(FIRST_ORDINARY, FIRST_ORDINARY + 7).repeat(64)
    losses = []
    for step in range(40):
        starts = torch.randint(0, 300, (8,), generator=torch.Generator().manual_seed(step)).tolist()
        rows = torch.stack([text[start : start + objective.row_length(32)] for start in starts])
        batch = objective.corrupt(rows, VOCABULARY, torch.Generator().manual_seed(step))
        means, weights = objective.losses(network, batch), objective.weights()
        loss = sum(weights[name] * mean for name, mean in means.items())
        (loss * scaling.loss_gradient).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append({name: mean.item() for name, mean in means.items()})
    # on a periodic text every part but two can be learned in a moment: another row of it continues any row as well
    # as its own, and a generator that is nearly right leaves nothing to detect
    for name in set(losses[0]) - {"next_sentence", "discriminator"}:
        assert losses[-1][name] < 0.5 * losses[0][name]


@pytest.mark.parametrize("kind", OBJECTIVES)
def test_every_weight_has_its_constants(kind):
    network = OBJECTIVES[kind]().network(shape(), VOCABULARY, BATCH_TOKENS)
    table = scales_of(network)
    assert set(table) == {name for name, _ in network.named_parameters()}
    assert all(scale.learning_rate > 0 for scale in table.values())
