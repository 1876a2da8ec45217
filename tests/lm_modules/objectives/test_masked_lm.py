import pytest
import torch
from pydantic import ValidationError

from lm_modules.data.tokenizers import SPECIAL
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.objectives import NOT_SCORED
from lm_modules.objectives.masked_lm import MaskedLm

VOCABULARY = Vocabulary(500, 0, tuple((name, index) for index, name in enumerate(SPECIAL)))


def test_a_million_tokens_are_chosen_hidden_replaced_and_left_in_the_published_parts():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, 500, (1000, 1000), generator=generator)
    ordinary = tokens >= len(SPECIAL)
    batch = MaskedLm().corrupt(tokens, VOCABULARY, generator)
    chosen = batch["labels"] != NOT_SCORED
    assert not (chosen & ~ordinary).any()
    assert torch.equal(batch["labels"][chosen], tokens[chosen])
    assert torch.equal(batch["tokens"][~chosen], tokens[~chosen])

    def assert_part(part, whole, expected):
        sigma = (expected * (1 - expected) / whole) ** 0.5
        assert abs(part / whole - expected) < 3 * sigma

    num_chosen = int(chosen.sum())
    hidden = batch["tokens"] == VOCABULARY.mask_id
    changed = chosen & ~hidden & (batch["tokens"] != tokens)
    assert_part(num_chosen, int(ordinary.sum()), 0.15)
    assert_part(int((chosen & hidden).sum()), num_chosen, 0.8)
    # one replacement in 493 draws the token that stood there
    assert_part(int(changed.sum()), num_chosen, 0.1 * (1 - 1 / (500 - len(SPECIAL))))
    assert not (batch["tokens"][changed] < len(SPECIAL)).any()


def test_parts_that_do_not_add_up_are_refused():
    with pytest.raises(ValidationError, match=r"add up to 1\.1; they must to 1"):
        MaskedLm(masked_fraction=0.9)
