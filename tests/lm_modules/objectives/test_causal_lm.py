from itertools import pairwise

import pytest
import torch

from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.objectives import NOT_SCORED
from lm_modules.objectives.causal_lm import CausalLm

VOCABULARY = Vocabulary(64, 0, tuple((name, index) for index, name in enumerate(SPECIAL)))
PREFIX, SUFFIX, MIDDLE = VOCABULARY.fill_ids


def row_of(*lengths, seed=0):
    """Documents of these lengths, each behind an end-of-text token."""
    generator = torch.Generator().manual_seed(seed)
    parts = [
        piece
        for length in lengths
        for piece in (torch.tensor([0]), torch.randint(len(SPECIAL), 64, (length,), generator=generator))
    ]
    return torch.cat(parts)


@pytest.mark.parametrize("query_key_norm", [False, True])
def test_isolated_documents_have_the_loss_that_each_has_alone(query_key_norm):
    torch.set_num_threads(1)
    objective = CausalLm(isolate_documents=True)
    model = ModelConfig(width=32, depth=3, head_width=8, context_length=64, query_key_norm=query_key_norm)
    network = objective.network(model, VOCABULARY, 64)
    initialize(network, torch.Generator().manual_seed(0))
    row = torch.cat((row_of(10, 25, 3), torch.tensor([0])))
    network.double()

    def summed(tokens):
        batch = objective.corrupt(tokens[None], VOCABULARY, torch.Generator())
        return objective.losses(network, batch)["loss"] * (batch["labels"] != NOT_SCORED).sum()

    starts = (row == 0).nonzero()[:, 0].tolist()
    alone = sum(summed(row[start : end + 1]) for start, end in pairwise(starts))
    torch.testing.assert_close(summed(row), alone, rtol=1e-6, atol=0)
    together = CausalLm().losses(network, CausalLm().corrupt(row[None], VOCABULARY, torch.Generator()))["loss"]
    assert abs(together * (len(row) - 1) - alone) > 1e-3


def test_filling_in_keeps_every_token_of_the_document_but_three():
    row = row_of(5, 40, 8)
    objective = CausalLm(fill_in_middle_fraction=1.0)
    batch = objective.corrupt(row[None], VOCABULARY, torch.Generator().manual_seed(3))
    text = torch.cat((batch["tokens"][0], batch["labels"][0, -1:]))
    assert len(text) == len(row)
    assert torch.equal(text[:7], row[:7])
    assert torch.equal(text[-9:], row[-9:])
    document, kept = text[7:47], row[7:44]
    marks = [int((document == mark).nonzero()[0, 0]) for mark in (PREFIX, SUFFIX, MIDDLE)]
    assert marks[0] == 0
    assert marks == sorted(marks)
    prefix, suffix, middle = document[1 : marks[1]], document[marks[1] + 1 : marks[2]], document[marks[2] + 1 :]
    assert torch.equal(torch.cat((prefix, middle, suffix)), kept)


def test_about_the_wanted_part_of_the_rows_is_rearranged():
    rows = torch.stack([row_of(63, seed=seed) for seed in range(400)])
    batch = CausalLm(fill_in_middle_fraction=0.3).corrupt(rows, VOCABULARY, torch.Generator().manual_seed(0))
    changed = (batch["tokens"] == PREFIX).any(dim=1).float().mean()
    assert abs(changed - 0.3) < 3 * (0.3 * 0.7 / 400) ** 0.5


def test_a_model_that_fills_in_is_a_language_model_whose_rows_are_not_the_text():
    for fraction, whole in ((0.0, True), (0.01, False), (1.0, False)):
        objective = CausalLm(fill_in_middle_fraction=fraction)
        assert objective.continues_text
        assert objective.scores_every_token == whole
