import math

import pytest
import torch

from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.objectives import NOT_SCORED
from lm_modules.objectives.masked_lm import MaskedLm
from lm_modules.objectives.next_sentence import NextSentence
from lm_modules.objectives.replaced_token_detection import ReplacedTokenDetection

VOCABULARY = Vocabulary(300, 0, tuple((name, index) for index, name in enumerate(SPECIAL)))


def rows(count, length):
    return torch.randint(len(SPECIAL), 300, (count, length), generator=torch.Generator().manual_seed(0))


def restored(batch):
    return torch.where(batch["labels"] != NOT_SCORED, batch["labels"], batch["tokens"])


def test_half_of_the_pairs_follow_and_the_others_come_from_another_row():
    objective = NextSentence()
    tokens = rows(64, objective.row_length(32))
    batch = objective.corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(1))
    text = restored(batch)
    half = tokens.shape[1] // 2
    assert (text[:, 0] == 0).all()
    assert (text[:, half + 1] == VOCABULARY.separator_id).all()
    assert torch.equal(text[:, 1 : half + 1], tokens[:, :half])
    follows = (text[:, half + 2 :] == tokens[:, half:]).all(dim=1)
    assert torch.equal(follows.long(), batch["follows"])
    assert follows.sum() == 32
    others = text[~follows, half + 2 :]
    assert all((other == tokens[:, half:]).all(dim=1).any() for other in others)
    assert batch["labels"][:, [0, half + 1]].eq(NOT_SCORED).all()


def test_one_row_has_no_other_to_be_paired_with():
    model = ModelConfig(width=64, depth=1, head_width=16, context_length=64)
    with pytest.raises(ValueError, match=r"two rows.*raise optimization\.batch_tokens 64 to 128"):
        NextSentence().network(model, VOCABULARY, 64)


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
