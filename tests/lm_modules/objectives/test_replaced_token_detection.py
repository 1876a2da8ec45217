import math

import torch

from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.model.vocabulary_loss import set_chunk_rows
from lm_modules.objectives import NOT_SCORED
from lm_modules.objectives.masked_lm import MaskedLm
from lm_modules.objectives.replaced_token_detection import ReplacedTokenDetection

VOCABULARY = Vocabulary(300, 0, tuple((name, index) for index, name in enumerate(SPECIAL)))


def rows(count, length):
    return torch.randint(len(SPECIAL), 300, (count, length), generator=torch.Generator().manual_seed(0))


def test_replacements_are_drawn_from_what_the_generator_finds_likely():
    torch.set_num_threads(1)
    hiding = MaskedLm(chosen_fraction=0.5, masked_fraction=1, random_fraction=0, unchanged_fraction=0)
    objective = ReplacedTokenDetection(masked_lm=hiding)
    model = ModelConfig(width=64, depth=1, head_width=16, context_length=64, parametrization="standard")
    network = objective.network(model, VOCABULARY, 64)
    initialize(network, torch.Generator().manual_seed(0))
    tokens = rows(400, 64)
    batch = objective.corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(1))
    hidden = batch["labels"] != NOT_SCORED
    readout = network.generator.readout.weight
    states = torch.ones(400, 64, readout.shape[1])
    with torch.no_grad():  # two tokens are likely everywhere, one of them three times as much
        readout.fill_(-20 / readout.shape[1])
        readout[100] = 0.0
        readout[200] = math.log(3) / readout.shape[1]
    generated = network.generate(states, batch["labels"], batch["text"], batch["chance"])
    assert torch.equal(generated[~hidden], tokens[~hidden])
    drawn = generated[hidden]
    assert set(drawn.tolist()) == {100, 200}
    part = (drawn == 200).float().mean().item()
    assert abs(part - 0.75) < 3 * (0.75 * 0.25 / len(drawn)) ** 0.5


def test_drawing_makes_no_more_logits_at_once_than_a_chunk_and_draws_the_same():
    torch.set_num_threads(1)
    objective = ReplacedTokenDetection(masked_lm=MaskedLm(chosen_fraction=0.5))
    model = ModelConfig(width=64, depth=1, head_width=16, context_length=64)
    network = objective.network(model, VOCABULARY, 64)
    initialize(network, torch.Generator().manual_seed(0))
    batch = objective.corrupt(rows(40, 64), VOCABULARY, torch.Generator().manual_seed(1))
    hidden = network.generator.hidden(batch["tokens"])
    made, logits = [], network.generator.logits

    def counted(hidden):
        made.append(len(hidden))
        return logits(hidden)

    network.generator.logits = counted
    drawn = []
    for chunk_rows in (10_000, 100):
        set_chunk_rows(network, chunk_rows)
        made.clear()
        drawn.append(network.generate(hidden, batch["labels"], batch["text"], batch["chance"]))
        assert sum(made) == (batch["labels"] != NOT_SCORED).sum() > 1000
        assert max(made) <= chunk_rows
    assert torch.equal(*drawn)
    nothing = torch.full_like(batch["labels"], NOT_SCORED)
    assert torch.equal(network.generate(hidden, nothing, batch["text"], batch["chance"]), batch["text"])
