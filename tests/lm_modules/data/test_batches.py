import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from lm_modules.data.batches import Batches, shuffled
from lm_modules.data.packed import PackedTokens, write_packed


@pytest.fixture
def tokens(tmp_path):
    write_packed(tmp_path, "train", [(np.arange(1, 1001), 1000)], vocab_size=1001, end_of_text_id=0)
    return PackedTokens.open(tmp_path, "train")


def batches(tokens, seed=0, batch_rows=6):
    return Batches(tokens, row_length=17, overlap=1, batch_rows=batch_rows, seed=seed)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 61, 64, 1000, 4097])
def test_a_shuffle_puts_every_row_in_one_place(size):
    places = shuffled(np.arange(size), size, key=7)
    assert sorted(places.tolist()) == list(range(size))


def test_shuffles_of_other_keys_differ_and_look_random():
    first, second = (shuffled(np.arange(4096), 4096, key) for key in (1, 2))
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(np.arange(4096), first)[0, 1]) < 0.06


def test_a_step_is_the_same_whenever_and_by_whomever_it_is_asked(tokens):
    expected = {step: batches(tokens)[step] for step in (9, 2, 30)}
    for workers in (0, 1):
        context = "spawn" if workers else None  # a fork would copy the threads and open files of earlier tests
        loader = DataLoader(
            batches(tokens), batch_size=None, sampler=[2, 9, 30], num_workers=workers, multiprocessing_context=context
        )
        for step, rows in zip([2, 9, 30], loader, strict=True):
            assert torch.equal(rows, expected[step])
    assert not torch.equal(batches(tokens, seed=1)[9], expected[9])


def test_an_epoch_reads_every_row_once(tokens):
    cut = batches(tokens, batch_rows=1)
    starts = sorted(int(cut[step][0, 0]) for step in range(cut.num_rows))
    assert cut.num_rows == (1001 - 1 - 15) // 16
    assert np.diff(starts).tolist() == [16] * (cut.num_rows - 1)


def test_epochs_cut_the_text_at_other_places(tokens):
    cut = batches(tokens, batch_rows=1)
    offsets = {int(cut[epoch * cut.num_rows][0, 0]) % 16 for epoch in range(12)}
    assert len(offsets) > 3


def test_rows_are_the_text_itself(tokens):
    for row in batches(tokens)[3]:
        assert torch.equal(row, torch.arange(int(row[0]), int(row[0]) + 17))


def test_too_little_text_says_what_to_do(tmp_path):
    write_packed(tmp_path, "train", [(np.arange(1, 20), 19)], vocab_size=100, end_of_text_id=0)
    with pytest.raises(ValueError, match=r"20 tokens, too few for rows of 17.*context_length"):
        batches(PackedTokens.open(tmp_path, "train"))
