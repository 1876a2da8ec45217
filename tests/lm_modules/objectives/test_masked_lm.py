from dataclasses import replace

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


def test_over_a_million_tokens_whole_words_are_treated_alike_in_the_published_parts():
    generator = torch.Generator().manual_seed(0)
    # of 493 ordinary tokens every third begins a word
    begins = [index < len(SPECIAL) or index % 3 == 0 for index in range(500)]
    parts = "".join("0" if index < len(SPECIAL) else "2" if begins[index] else "3" for index in range(500))
    vocabulary = replace(VOCABULARY, word_parts=parts)
    tokens = torch.randint(0, 500, (1000, 1000), generator=generator)
    before = tokens.clone()
    batch = MaskedLm(whole_words=True).corrupt(tokens, vocabulary, generator)
    assert torch.equal(tokens, before)
    chosen = batch["labels"] != NOT_SCORED
    hidden = batch["tokens"] == vocabulary.mask_id

    # the words by another way: numbered along the text, a new one at the start of a row, at a token that begins one,
    # and behind a special token
    special = tokens < len(SPECIAL)
    begin = torch.tensor(begins)[tokens]
    begin[:, 1:] |= special[:, :-1]
    begin[:, 0] = True
    word = (begin.flatten().cumsum(0) - 1)[~special.flatten()]
    sizes = torch.bincount(word).double()

    def share_of_words(treated):
        """How much of each word is treated so: all or nothing."""
        share = torch.bincount(word, treated.flatten()[~special.flatten()].double())[sizes > 0] / sizes[sizes > 0]
        assert ((share == 0) | (share == 1)).all()
        return share == 1

    def assert_part(part, whole, expected):
        weights = sizes[sizes > 0]
        for weight in (torch.ones_like(weights), weights):  # counted in words, and in tokens
            found = (weight * part).sum() / (weight * whole).sum()
            sigma = (expected * (1 - expected) * (weight**2 * whole).sum()).sqrt() / (weight * whole).sum()
            assert abs(found - expected) < 3 * sigma

    chosen_words, hidden_words = share_of_words(chosen), share_of_words(hidden)
    assert_part(chosen_words, torch.ones_like(chosen_words), 0.15)
    assert_part(hidden_words, chosen_words, 0.8)
    # a replaced token may be drawn as itself: of words of several tokens that is too rare to be seen
    changed = torch.bincount(word, (batch["tokens"] != tokens).flatten()[~special.flatten()].double())[sizes > 0] > 0
    long = sizes[sizes > 0] > 1
    drawn = changed & ~hidden_words & long
    sigma = (0.1 * 0.9 * (chosen_words & long).sum()).sqrt()
    assert abs(drawn.sum() - 0.1 * (chosen_words & long).sum()) < 3 * sigma
    assert not (chosen & special).any()


def test_the_batch_of_single_tokens_is_the_one_it_always_was():
    tokens = torch.randint(0, 500, (4, 64), generator=torch.Generator().manual_seed(3))
    batch = MaskedLm().corrupt(tokens, VOCABULARY, torch.Generator().manual_seed(4))
    generator = torch.Generator().manual_seed(4)
    choice, fate = torch.rand(4, 64, generator=generator), torch.rand(4, 64, generator=generator)
    drawn = torch.randint(len(SPECIAL), 500, (4, 64), generator=generator)
    chosen = (choice < 0.15) & (tokens >= len(SPECIAL))
    expected = torch.where(chosen & (fate < 0.8), VOCABULARY.mask_id, tokens)
    assert torch.equal(batch["tokens"], torch.where(chosen & (fate >= 0.8) & (fate < 0.9), drawn, expected))
    assert torch.equal(batch["labels"] != NOT_SCORED, chosen)


def test_whole_words_need_to_know_the_spelling():
    with pytest.raises(ValueError, match="set whole_words to false"):
        MaskedLm(whole_words=True).corrupt(torch.full((1, 8), 20), VOCABULARY, torch.Generator())


def test_parts_that_do_not_add_up_are_refused():
    with pytest.raises(ValidationError, match=r"add up to 1\.1; they must to 1"):
        MaskedLm(masked_fraction=0.9)
