import pytest
import torch

from configs.model import ModelConfig
from configs.pretraining import PretrainingConfig
from lm_modules.data.rows import Rows
from lm_modules.data.tokenizers import SPECIAL
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.objectives import NOT_SCORED
from lm_modules.objectives.next_sentence import NO_SEGMENT, NextSentence

VOCABULARY = Vocabulary(6000, 0, tuple((name, index) for index, name in enumerate(SPECIAL)))
CONTEXT = 32
LENGTH = NextSentence().row_length(CONTEXT)


def rows_of(documents):
    """Rows cut from documents of these numbers and lengths; a token tells its document and its place in it."""
    numbers = [[number for number, length in row for _ in range(length)] for row in documents]
    texts = []
    for row in documents:
        texts.append([len(SPECIAL) + 40 * number + place for number, length in row for place in range(length)])
        place = 0
        for _, length in row[:-1]:
            place += length
            texts[-1][place - 1] = VOCABULARY.end_of_text_id
    return Rows.of(torch.tensor(texts), torch.tensor(numbers))


def pairs(rows, seed=1):
    """Yield first segment, second segment and answer of every row, as the separator tells them."""
    batch = NextSentence().corrupt_rows(rows, VOCABULARY, torch.Generator().manual_seed(seed))
    text_BL = torch.where(batch["labels"] != NOT_SCORED, batch["labels"], batch["tokens"])
    for text, follows in zip(text_BL.tolist(), batch["follows"].tolist(), strict=True):
        assert text[0] == VOCABULARY.end_of_text_id
        middle = text.index(VOCABULARY.separator_id)
        end = text.index(VOCABULARY.pad_id) if VOCABULARY.pad_id in text else len(text)
        assert set(text[end:]) <= {VOCABULARY.pad_id}
        yield text[1:middle], text[middle + 1 : end], follows


MANY = rows_of([[(number, 12), (number + 1, 18)] if number % 2 else [(number, LENGTH)] for number in range(0, 128)])


def document_of(token):
    return (token - len(SPECIAL)) // 40


def test_half_of_the_pairs_follow_and_the_others_are_of_another_document():
    answers = []
    for number, (first, second, follows) in enumerate(pairs(MANY)):
        [document], [other] = ({document_of(token) for token in segment} for segment in (first, second))
        assert document == (number + 1 if number % 2 else number)  # the longest of the row
        assert (other == document) == bool(follows)
        if follows:
            assert second == list(range(first[-1] + 1, first[-1] + 1 + len(second)))
        answers.append(follows)
    assert sorted(answers) == [0] * 64 + [1] * 64


def test_a_random_segment_never_comes_from_the_document_of_the_first():
    # two documents in many rows each: another row is often of the same document
    rows = rows_of([[(number % 2, LENGTH)] for number in range(32)])
    for seed in range(5):
        for first, second, follows in pairs(rows, seed):
            assert (document_of(first[0]) == document_of(second[0])) == bool(follows)


def test_lengths_do_not_tell_the_answer():
    rows = rows_of([[(number, 4 + number % 20), (number + 50, LENGTH - 4 - number % 20)] for number in range(64)])
    lengths = {}
    for seed in range(200):
        for number, (first, second, follows) in enumerate(pairs(rows, seed)):
            lengths.setdefault((number, follows), []).append((len(first), len(second)))
    for number in range(0, 64, 7):
        followed, random = (torch.tensor(lengths[number, answer]).double().mean(dim=0) for answer in (1, 0))
        assert torch.allclose(followed, random, atol=1.0)
        assert followed[0] == random[0]


def test_of_an_odd_number_of_rows_half_follow_over_the_steps():
    rows = rows_of([[(number, LENGTH)] for number in range(3)])
    answers = [follows for seed in range(300) for *_, follows in pairs(rows, seed)]
    assert set(answers) == {0, 1}
    assert abs(sum(answers) / 900 - 0.5) < 3 * 0.5 / 900**0.5


def test_a_batch_of_one_document_asks_for_no_pair():
    rows = rows_of([[(4, LENGTH)] for _ in range(3)])
    batch = NextSentence().corrupt_rows(rows, VOCABULARY, torch.Generator().manual_seed(0))
    assert batch["follows"].tolist() == [NOT_SCORED] * 3
    network = network_of()
    losses = NextSentence().losses(network, batch)
    assert NextSentence().num_scored(batch)["next_sentence"] == 0
    assert losses["next_sentence"] == 0
    assert losses["masked_lm"] > 1


def test_a_row_without_any_text_makes_an_empty_pair():
    rows = rows_of([[(number, 1) for number in range(LENGTH)], [(40, LENGTH)], [(41, LENGTH)]])
    rows.tokens[0] = VOCABULARY.end_of_text_id
    (first, second, follows), *others = pairs(rows)
    assert (first, second, follows) == ([], [], NOT_SCORED)
    assert sorted(follows for *_, follows in others) == [0, 1]


def test_segments_agree_with_the_separator_and_the_padding():
    batch = NextSentence().corrupt_rows(MANY, VOCABULARY, torch.Generator().manual_seed(1))
    text_BL = torch.where(batch["labels"] != NOT_SCORED, batch["labels"], batch["tokens"])
    separated_BL = (text_BL == VOCABULARY.separator_id).long()
    expected_BL = separated_BL.cumsum(dim=1) - separated_BL
    expected_BL[text_BL == VOCABULARY.pad_id] = NO_SEGMENT
    assert torch.equal(batch["segments"], expected_BL)
    assert set(batch["segments"].unique().tolist()) == {NO_SEGMENT, 0, 1}


def network_of():
    model = ModelConfig(width=32, depth=2, head_width=16, context_length=CONTEXT)
    network = NextSentence().network(model, VOCABULARY, 256)
    initialize(network, torch.Generator().manual_seed(0))
    return network


def test_padding_is_neither_chosen_nor_scored_nor_read():
    batch = NextSentence().corrupt_rows(MANY, VOCABULARY, torch.Generator().manual_seed(1))
    behind_BL = batch["segments"] == NO_SEGMENT
    assert behind_BL.any()
    assert (batch["labels"][behind_BL] == NOT_SCORED).all()
    assert (batch["tokens"][behind_BL] == VOCABULARY.pad_id).all()
    network = network_of()
    scribbled = batch | {"tokens": batch["tokens"].masked_fill(behind_BL, 77)}
    for name, loss in NextSentence().losses(network, batch).items():
        assert torch.equal(loss, NextSentence().losses(network, scribbled)[name])
    with torch.no_grad():
        alone = network(batch["tokens"][1:2, : int((~behind_BL[1]).sum())])
        together = network(batch["tokens"], (~behind_BL).long())[1:2]
    assert behind_BL[1].any()
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["batch_tokens", "batch_tokens_start"])
def test_one_row_has_no_other_to_be_paired_with(name):
    optimization = {"budget_steps": 1, "batch_tokens": 128} | {name: 64}
    if name == "batch_tokens_start":
        optimization["batch_ramp_steps"] = 2
    with pytest.raises(ValueError, match=rf"2 rows in a batch; raise optimization\.{name} 64 to 128"):
        PretrainingConfig.model_validate(
            {"model": {"context_length": 64}, "objective": "next_sentence", "optimization": optimization}
        )
