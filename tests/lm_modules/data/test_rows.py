import random

import pytest
import torch

from lm_modules.data.rows import Rows, fewest_rows, pattern, whole_shares


def test_decimal_weights_are_kept_as_they_are_written():
    assert whole_shares([0.7, 0.3]) == (7, 3)
    assert whole_shares([1.0, 2.5]) == (2, 5)
    assert whole_shares([1 / 3, 1 / 3, 1 / 3]) == (1, 1, 1)
    assert sum(whole_shares([0.123456, 0.876544])) == 10_000


def shares_at_random(chance):
    return whole_shares([chance.randint(1, 30) for _ in range(chance.randint(1, 6))])


def test_no_stream_is_ever_a_whole_row_from_its_share():
    chance = random.Random(0)
    for _ in range(100):
        shares = shares_at_random(chance)
        taken = [0] * len(shares)
        for number, stream in enumerate(pattern(shares), 1):
            taken[stream] += 1
            assert all(
                abs(sum(shares) * count - share * number) < sum(shares)
                for count, share in zip(taken, shares, strict=True)
            )
        assert tuple(taken) == shares


def test_the_fewest_rows_are_enough_wherever_a_batch_begins_and_one_less_is_not():
    chance = random.Random(1)
    for _ in range(40):
        shares = shares_at_random(chance)
        needed = [chance.randint(1, 3) for _ in shares]
        found = fewest_rows(shares, needed)
        order = pattern(shares) * (found // sum(shares) + 3)

        def enough(rows, order=order, needed=needed, shares=shares):
            windows = [order[start : start + rows] for start in range(sum(shares))]
            return all(window.count(stream) >= count for window in windows for stream, count in enumerate(needed))

        assert enough(found)
        assert not enough(found - 1)


def test_unrelated_rows_have_no_document_in_common():
    tokens = torch.tensor([[5, 0, 6, 7], [5, 6, 0, 0], [5, 6, 7, 8]])
    documents = Rows.unrelated(tokens, end_of_text_id=0).documents
    assert documents.tolist() == [[0, 0, 1, 1], [5, 5, 5, 6], [10, 10, 10, 10]]


@pytest.mark.parametrize("weights", [[0.5, 0.5], [3, 1, 1]])
def test_a_pattern_is_made_once(weights):
    assert pattern(whole_shares(weights)) is pattern(whole_shares(weights))
