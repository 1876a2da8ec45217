"""Rows that are planned: every token once an epoch, no document cut that fits, the loss of text alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from configs.batch_sizes import BatchSizes
from configs.component import members
from lm_modules.data.batches import Batches
from lm_modules.data.packed import PackedTokens, write_packed
from lm_modules.data.packing.best_fit import BestFit
from lm_modules.data.packing.concatenate import Concatenate
from lm_modules.data.packing.one_document import OneDocument
from lm_modules.data.planned_rows import row_figures
from lm_modules.data.row_plan import best_fit_decreasing
from lm_modules.data.rows import Rows, Stream
from lm_modules.data.vocabulary import Vocabulary

PLANNED = (BestFit(), OneDocument())
LENGTHS = (5, 40, 1, 15, 0, 60, 9, 16, 3, 15, 31)


def write(folder: Path, packing: Any, lengths: tuple[int, ...] = LENGTHS) -> PackedTokens:
    """Documents of which every token is another, between 1 and 998; 0 ends a document."""
    ends = np.cumsum(lengths)
    documents = [
        (np.arange(1 + end - length, 1 + end), length, "web" if number % 2 else "books")
        for number, (length, end) in enumerate(zip(lengths, ends.tolist(), strict=True))
    ]
    write_packed(folder, "train", documents, vocab_size=1000, end_of_text_id=0, packing=packing)
    return PackedTokens.open(folder, "train")


def batches(packed: PackedTokens, rows: int = 1, **stream: Any) -> Batches:
    settings = {"row_length": 17, "overlap": 1} | stream
    return Batches(packed, streams=[Stream(**settings)], sizes=BatchSizes(rows, 16, rows), seed=0)


def naive_best_fit(lengths: list[int], capacity: int) -> list[int]:
    """The definition: each piece goes where it leaves the least room; returns the room left in each row."""
    rooms: list[int] = []
    for length in lengths:
        fitting = [(room, place) for place, room in enumerate(rooms) if room >= length]
        if fitting:
            rooms[min(fitting)[1]] -= length
        else:
            rooms.append(capacity - length)
    return sorted(rooms)


def test_best_fit_is_that_of_the_definition() -> None:
    chance = np.random.default_rng(0)
    for _ in range(200):
        capacity = int(chance.integers(1, 60))
        lengths = -np.sort(-chance.integers(1, capacity + 1, chance.integers(0, 80)))
        used = np.bincount(best_fit_decreasing(lengths, capacity), weights=lengths)
        assert sorted((capacity - used).astype(int).tolist()) == naive_best_fit(lengths.tolist(), capacity)


@pytest.mark.parametrize("packing", PLANNED, ids=lambda each: each.kind)
@pytest.mark.parametrize("overlap", [0, 1])
def test_every_token_is_scored_once_an_epoch(packing: Any, overlap: int, tmp_path: Path) -> None:
    packed = write(tmp_path, packing)
    cut = batches(packed, row_length=16 + overlap, overlap=overlap)
    num_rows = cut.streams[0].num_rows
    for epoch in range(2):
        seen: list[int] = []
        for step in range(epoch * num_rows, (epoch + 1) * num_rows):
            rows = cut[step]
            assert rows.tokens.shape == (1, 16 + overlap)
            assert rows.text_lengths is not None
            seen += rows.tokens[0, overlap : int(rows.text_lengths[0])].tolist()
            assert (rows.tokens[0, int(rows.text_lengths[0]) :] == 0).all()
        assert sorted(seen) == sorted(packed.tokens.tolist())


@pytest.mark.parametrize("packing", PLANNED, ids=lambda each: each.kind)
def test_no_document_is_cut_that_fits_a_row(packing: Any, tmp_path: Path) -> None:
    packed = write(tmp_path, packing)
    cut = batches(packed, by_document=True)
    places: dict[int, set[int]] = {}
    for step in range(cut.streams[0].num_rows):
        rows = cut[step]
        assert rows.documents is not None
        assert rows.text_lengths is not None
        documents = rows.documents[0, 1 : int(rows.text_lengths[0])]
        assert (rows.documents[0, int(rows.text_lengths[0]) :] == -1).all()
        for token, document in zip(rows.tokens[0, 1:].tolist(), documents.tolist(), strict=False):
            places.setdefault(document, set()).add(step)
            start, end = packed.document_starts[document : document + 2]
            assert token in packed.tokens[start:end]
        if packing.kind == "one_document":
            assert len(documents.unique()) == 1
    fitting = [number for number, length in enumerate(LENGTHS) if length + 1 <= 16]
    assert all(len(places[number]) == 1 for number in fitting)
    assert sum(len(each) > 1 for each in places.values()) == len(LENGTHS) - len(fitting)


@pytest.mark.parametrize("packing", PLANNED, ids=lambda each: each.kind)
def test_before_a_piece_stands_what_it_goes_on_from(packing: Any, tmp_path: Path) -> None:
    cut = batches(write(tmp_path, packing))
    firsts = {int(cut[step].tokens[0, 1]): int(cut[step].tokens[0, 0]) for step in range(cut.streams[0].num_rows)}
    beginnings = {1, 6, 46, 47, 62, 122, 131, 147, 150, 165}
    for first, before in firsts.items():
        if first:
            assert before == (0 if first in beginnings else first - 1)


def test_how_rows_are_filled_is_told(tmp_path: Path) -> None:
    streams = Stream(17, 1), Stream(17, 1, sources=("web",), name="web")
    found = {
        each.kind: [row_figures(write(tmp_path / each.kind, each), stream) for stream in streams]
        for each in (*PLANNED, Concatenate())
    }
    total = sum(LENGTHS) + len(LENGTHS)
    cut = sum(length + 1 > 16 for length in LENGTHS)
    for each in PLANNED:
        figures = found[each.kind][0]
        assert figures["documents_cut"] == cut
        assert figures["row_utilization"] == pytest.approx(total / (16 * figures["rows"]))
    assert found["one_document"][0]["rows"] == sum(-(-(length + 1) // 16) for length in LENGTHS)
    assert found["best_fit"][0]["rows"] < found["one_document"][0]["rows"]
    assert found["best_fit"][1]["rows"] < found["best_fit"][0]["rows"]
    # documents 1, 5, 10 are longer than a row; 0 ends in the first, 2, 3, 4, 6, 7, 8, 9 by where they happen to lie
    ends = np.cumsum(np.array(LENGTHS) + 1)
    starts = ends - np.array(LENGTHS) - 1
    expected = sum(start // 16 != (end - 1) // 16 for start, end in zip(starts, ends, strict=True))
    assert found["concatenate"][0] == {"row_utilization": 1.0, "documents_cut": expected, "rows": total // 16}


def test_no_row_holds_a_document_twice(tmp_path: Path) -> None:
    from lm_modules.data.packed import PackedWriter

    writer = PackedWriter(tmp_path, "train", 100, 0, "", BestFit())
    for _ in range(2):
        for number in range(1, 9):
            tokens = np.array([number, number, number, 0], writer.dtype)
            writer.write_tokens(tokens)
            writer.write_documents(np.array([4]), 3, ["web"])
        writer.end_round()
    writer.close()
    packed = PackedTokens.open(tmp_path, "train")
    assert packed.rounds == (8, 16)
    cut = batches(packed)
    assert cut.streams[0].num_rows == 4
    for step in range(4):
        assert len(cut[step].tokens[0, 1:].unique()) == 4 + 1


VOCABULARY = Vocabulary(
    size=1000,
    end_of_text_id=0,
    special=(("<|endoftext|>", 0), ("<|pad|>", 998), ("<|mask|>", 999), ("<|separator|>", 997)),
)


@pytest.mark.parametrize("kind", ["causal_lm", "masked_lm", "replaced_token_detection"])
def test_the_loss_of_a_padded_row_is_that_of_the_text_alone(kind: str) -> None:
    from configs.model import ModelConfig
    from lm_modules.model.scaled import initialize

    objective = members("lm_modules.objectives")[kind]()
    model = ModelConfig(width=32, depth=2, head_width=16, context_length=32)
    network = objective.network(model, VOCABULARY, 256)
    initialize(network, torch.Generator().manual_seed(0))
    text = torch.randint(1, 900, (1, 12), generator=torch.Generator().manual_seed(1))
    padded = torch.cat([text, torch.zeros(1, 21, dtype=torch.long)], dim=1)
    whole = objective.corrupt_rows(
        Rows.of(padded, text_lengths=torch.tensor([12])), VOCABULARY, torch.Generator().manual_seed(2)
    )
    alone = {
        name: each[:, : 12 - (kind == "causal_lm")] for name, each in whole.items() if name not in ("documents", "part")
    }
    counts, of_alone = objective.num_scored(whole), objective.num_scored(alone)
    assert {name: int(each) for name, each in counts.items()} == {name: int(each) for name, each in of_alone.items()}
    assert all(counts.values())
    losses, expected = objective.losses(network, whole), objective.losses(network, alone)
    for name, loss in losses.items():
        torch.testing.assert_close(loss, expected[name], rtol=1e-5, atol=1e-6)


def test_next_sentence_never_takes_padding_for_text(tmp_path: Path) -> None:
    objective = members("lm_modules.objectives")["next_sentence"]()
    lengths = (30, 20, 9, 14, 22, 28)
    packed = write(tmp_path, OneDocument(), lengths)
    cut = Batches(packed, streams=objective.streams(34), sizes=BatchSizes(6, 32, 6), seed=0)
    batch = objective.corrupt_rows(cut[0], VOCABULARY, torch.Generator().manual_seed(0))
    text = (batch["segments"] >= 0) & ~torch.isin(batch["tokens"], torch.tensor([0, 997]))
    # each row has the tokens of its first segment, and a second one that is no longer than the partner's
    assert ((text & (batch["segments"] == 0)).sum(dim=1) >= torch.tensor(sorted(lengths)[0]) // 2).all()
    assert (batch["labels"][batch["tokens"] == 998] == -100).all()
    assert not (batch["tokens"][:, 1:][text[:, 1:]] == 0).any()


def test_a_mixture_knows_how_long_the_text_of_each_row_is(tmp_path: Path) -> None:
    packed = write(tmp_path, BestFit())
    streams = [Stream(17, 1, 0.5, ("web",), "a"), Stream(12, 0, 0.5, ("books",), "b")]
    rows = Batches(packed, streams=streams, sizes=BatchSizes(8, 16, 8), seed=0)[0]
    assert rows.text_lengths is not None
    for number, length in ((0, 17), (1, 12)):
        own = rows.of_stream(number)
        assert own.tokens.shape == (4, length)
        assert own.text_lengths is not None
        assert (own.text_lengths <= length).all()
        for tokens, text in zip(own.tokens, own.text(), strict=True):
            assert (tokens[~text] == 0).all()


def test_tokens_travel_to_another_process_as_a_path(tmp_path: Path) -> None:
    import pickle

    packed = write(tmp_path, BestFit())
    sent = pickle.dumps(packed)
    assert len(sent) < 500
    assert (pickle.loads(sent).tokens == packed.tokens).all()
