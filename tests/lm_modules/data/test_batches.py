import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from configs.batch_sizes import BatchSizes
from lm_modules.data.batches import Batches, shuffled
from lm_modules.data.packed import PackedTokens, write_packed
from lm_modules.data.rows import Stream


@pytest.fixture
def tokens(tmp_path):
    write_packed(tmp_path, "train", [(np.arange(1, 1001), 1000)], vocab_size=1001, end_of_text_id=0)
    return PackedTokens.open(tmp_path, "train")


def batches(tokens, seed=0, batch_rows=6, by_document=False, **ramp):
    sizes = BatchSizes(**({"rows": batch_rows, "row_tokens": 16, "first_rows": batch_rows} | ramp))
    return Batches(tokens, streams=[Stream(17, 1, by_document=by_document)], sizes=sizes, seed=seed)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 61, 64, 1000, 4097])
def test_a_shuffle_puts_every_row_in_one_place(size):
    places = shuffled(np.arange(size), size, key=7)
    assert sorted(places.tolist()) == list(range(size))


def test_shuffles_of_other_keys_differ_and_look_random():
    first, second = (shuffled(np.arange(4096), 4096, key) for key in (1, 2))
    assert (first == second).mean() < 0.01
    assert abs(np.corrcoef(np.arange(4096), first)[0, 1]) < 0.06


def test_makers_of_batches_get_the_path_of_the_tokens_and_not_the_tokens(tmp_path):
    write_packed(tmp_path, "train", [(np.arange(1, 50_001), 50_000)], vocab_size=50_001, end_of_text_id=0)
    there = batches(PackedTokens.open(tmp_path, "train"))
    sent = pickle.dumps(there)
    assert len(sent) < 10_000
    assert torch.equal(pickle.loads(sent)[3].tokens, there[3].tokens)


def test_a_step_is_the_same_whenever_and_by_whomever_it_is_asked(tokens):
    expected = {step: batches(tokens)[step].tokens for step in (9, 2, 30)}
    for workers in (0, 1):
        context = "spawn" if workers else None  # a fork would copy the threads and open files of earlier tests
        loader = DataLoader(
            batches(tokens), batch_size=None, sampler=[2, 9, 30], num_workers=workers, multiprocessing_context=context
        )
        for step, rows in zip([2, 9, 30], loader, strict=True):
            assert torch.equal(rows.tokens, expected[step])
    assert not torch.equal(batches(tokens, seed=1)[9].tokens, expected[9])


def test_an_epoch_reads_every_row_once(tokens):
    cut = batches(tokens, batch_rows=1)
    num_rows = (1001 - 1 - 15) // 16
    starts = sorted(int(cut[step].tokens[0, 0]) for step in range(num_rows))
    assert np.diff(starts).tolist() == [16] * (num_rows - 1)


def test_epochs_cut_the_text_at_other_places(tokens):
    cut = batches(tokens, batch_rows=1)
    num_rows = (1001 - 1 - 15) // 16
    offsets = {int(cut[epoch * num_rows].tokens[0, 0]) % 16 for epoch in range(12)}
    assert len(offsets) > 3


def test_rows_are_the_text_itself(tokens):
    for row in batches(tokens)[3].tokens:
        assert torch.equal(row, torch.arange(int(row[0]), int(row[0]) + 17))


def test_too_little_text_says_what_to_do(tmp_path):
    write_packed(tmp_path, "train", [(np.arange(1, 20), 19)], vocab_size=100, end_of_text_id=0)
    with pytest.raises(ValueError, match=r"20 tokens, too few for rows of 17.*context_length"):
        batches(PackedTokens.open(tmp_path, "train"))


def test_a_growing_batch_reads_the_same_rows_in_other_portions(tokens):
    growing, steady = batches(tokens, first_rows=2, ramp_steps=5), batches(tokens, batch_rows=1)
    seen = torch.cat([growing[step].tokens for step in range(9)])
    assert [len(growing[step].tokens) for step in range(9)] == [2, 2, 3, 4, 5, 6, 6, 6, 6]
    assert torch.equal(seen, torch.cat([steady[step].tokens for step in range(len(seen))]))


def test_rows_know_their_documents(tmp_path):
    lengths = np.array([5, 40, 1, 30, 60, 9])
    starts = np.cumsum(lengths + 1) - lengths - 1
    documents = [(np.arange(start, start + length), 1) for start, length in zip(starts, lengths, strict=True)]
    write_packed(tmp_path, "train", documents, vocab_size=200, end_of_text_id=199)
    of_place = np.repeat(np.arange(6), lengths + 1)
    for step in range(6):
        rows = batches(PackedTokens.open(tmp_path, "train"), by_document=True)[step]
        for tokens_L, documents_L in zip(rows.tokens.numpy(), rows.documents.numpy(), strict=True):
            text = np.flatnonzero(tokens_L != 199)  # there a token is its own place in the split
            start = tokens_L[text[0]] - text[0]
            assert (documents_L == of_place[start : start + 17]).all()


def sourced(directory):
    """Twelve documents of three sources; a token tells the source and a second one the document."""
    documents = [
        ([10 + number % 3, 20 + number] * 20, 40, ("web", "books/a", "books/b")[number % 3]) for number in range(12)
    ]
    write_packed(directory, "train", documents, vocab_size=64, end_of_text_id=0)
    return PackedTokens.open(directory, "train")


def test_streams_share_the_batch_by_weight_and_read_their_own_sources(tmp_path):
    packed = sourced(tmp_path)
    streams = [Stream(9, 1, 0.7, ("web",), "a"), Stream(5, 0, 0.2, ("books",), "b"), Stream(9, 1, 0.1, None, "c")]
    streams = [replace(stream, by_document=True) for stream in streams]
    cut = Batches(packed, streams=streams, sizes=BatchSizes(7, 8, 7), seed=0)
    seen = [cut[step] for step in range(40)]
    counts = torch.bincount(torch.cat([rows.streams for rows in seen])).tolist()
    assert counts == [196, 56, 28]
    for rows in seen:
        first, second = rows.of_stream(0), rows.of_stream(1)
        assert first.tokens.shape[1] == 9
        assert second.tokens.shape[1] == 5
        assert set(first.tokens.unique().tolist()) <= {0, 10, 20, 23, 26, 29}
        assert set((first.documents % 3).unique().tolist()) <= {0}
        assert set((second.documents % 3).unique().tolist()) <= {1, 2}
        assert rows.lengths.tolist() == [5 if stream == 1 else 9 for stream in rows.streams]


def test_a_stream_reads_its_own_text_once_an_epoch(tmp_path):
    packed = sourced(tmp_path)
    cut = Batches(packed, streams=[Stream(9, 0, sources=("web",), name="a")], sizes=BatchSizes(1, 8, 1), seed=3)
    num_rows = (4 * 41 - 8) // 9
    text = packed.tokens.reshape(12, 41)[::3].flatten()
    starts = []
    for step in range(num_rows):
        row = cut[step].tokens[0].numpy()
        starts.append([start for start in range(len(text) - 8) if (text[start : start + 9] == row).all()])
    assert all(starts)
    covered = np.zeros(len(text), int)
    for places in starts:
        if len(places) == 1:
            covered[places[0] : places[0] + 9] += 1
    assert covered.max() == 1


def test_sources_that_are_unknown_or_were_not_packed_are_refused(tmp_path, tokens):
    with pytest.raises(ValueError, match="'wbe'; did you mean 'web'"):
        Batches(sourced(tmp_path / "a"), streams=[Stream(9, 1, sources=("wbe",))], sizes=BatchSizes(1, 8, 1), seed=0)
    with pytest.raises(ValueError, match="pack the corpus again"):
        Batches(tokens, streams=[Stream(9, 1, sources=("web",))], sizes=BatchSizes(1, 8, 1), seed=0)


def test_the_sources_do_not_move_the_fingerprint(tmp_path):
    documents = [([1, 2, 3], 3, "web"), ([4, 5], 2, "books")]
    with_sources = write_packed(tmp_path / "a", "train", documents, vocab_size=64, end_of_text_id=0)
    without = write_packed(tmp_path / "b", "train", [each[:2] for each in documents], vocab_size=64, end_of_text_id=0)
    assert with_sources["fingerprint"] == without["fingerprint"]
    assert with_sources["sources"]["train"]["names"] == ["web", "books"]
    assert without["sources"] == {}
    write_packed(tmp_path / "a", "train", [each[:2] for each in documents], vocab_size=64, end_of_text_id=0)
    assert PackedTokens.open(tmp_path / "a", "train").document_sources is None
