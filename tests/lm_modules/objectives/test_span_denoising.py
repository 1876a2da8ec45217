import pytest
import torch
import torch.nn.functional as F

from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.objectives.span_denoising import SpanDenoising

NAMES = (*SPECIAL, *(sentinel(number) for number in range(100)))
VOCABULARY = Vocabulary(600, 0, tuple((name, index) for index, name in enumerate(NAMES)))
SENTINELS = range(len(SPECIAL), len(NAMES))


def corrupted(objective, context, rows=64):
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(len(NAMES), 600, (rows, objective.row_length(context)), generator=generator)
    return tokens, objective.corrupt(tokens, VOCABULARY, generator)


@pytest.mark.parametrize("context", [16, 100, 512])
@pytest.mark.parametrize("settings", [{}, {"noise_fraction": 0.3, "mean_span": 2.0}, {"whole_text": True}])
def test_source_and_target_give_back_the_text(context, settings):
    objective = SpanDenoising(**settings)
    tokens, batch = corrupted(objective, context)
    for row, source, target in zip(tokens, batch["tokens"].tolist(), batch["labels"].tolist(), strict=True):
        assert source[-1] == target[-1] == VOCABULARY.end_of_text_id
        if settings.get("whole_text"):
            assert target[:-1] == row.tolist()
            continue
        spans, current = {}, None
        for token in target[:-1]:
            if token in SENTINELS:
                current = spans.setdefault(token, [])
            else:
                current.append(token)
        restored = [each for token in source[:-1] for each in spans.get(token, [token])]
        assert restored == row.tolist()
        assert list(spans) == sorted(spans)


def test_the_decoder_reads_the_target_one_step_late_behind_a_pad():
    _, batch = corrupted(SpanDenoising(), 100)
    assert (batch["target"][:, 0] == VOCABULARY.pad_id).all()
    assert torch.equal(batch["target"][:, 1:], batch["labels"][:, :-1])


def test_noise_and_spans_are_as_many_as_published():
    objective = SpanDenoising()
    tokens, batch = corrupted(objective, 512)
    spans = torch.isin(batch["tokens"], torch.tensor(list(SENTINELS))).sum(dim=1)
    noise = batch["labels"].shape[1] - 1 - spans
    assert (noise.float() / tokens.shape[1]).mean() == pytest.approx(0.15, abs=0.002)
    assert (noise / spans).float().mean() == pytest.approx(3.0, abs=0.05)
    assert batch["tokens"].shape[1] == 512


def test_every_position_but_the_first_can_be_taken_out():
    tokens, batch = corrupted(SpanDenoising(), 64, rows=2000)
    left = [torch.isin(row, source).float() for row, source in zip(tokens, batch["tokens"], strict=True)]
    taken = 1 - torch.stack(left).mean(dim=0)
    assert taken[0] < 0.02
    assert (taken[2:] > 0.05).all()


def test_too_few_sentinels_say_how_many_are_needed():
    few = Vocabulary(600, 0, VOCABULARY.special[: len(SPECIAL) + 3])
    tokens = torch.randint(150, 600, (2, 512))
    with pytest.raises(ValueError, match=r"needs 26 sentinels; set tokenization\.tokenizer\.sentinels to at least 26"):
        SpanDenoising().corrupt(tokens, few, torch.Generator())


class Copier:
    """Answers with what should be written, as a network would that learned it all."""

    def __init__(self, written, after):
        self.written, self.after = written, after

    def __call__(self, source, target):
        wanted = torch.tensor([*self.written, self.after] * 40)[: target.shape[1]]
        return F.one_hot(wanted, 600)[None].float()


def test_the_spans_that_were_taken_out_are_written_until_the_end():
    objective = SpanDenoising()
    text = torch.randint(len(NAMES), 600, (200,), generator=torch.Generator().manual_seed(0))
    batch = objective.corrupt(text[None, :64], VOCABULARY, torch.Generator().manual_seed(5))
    wanted = batch["labels"][0].tolist()
    for written in (wanted, [*wanted[:4], VOCABULARY.end_of_text_id]):
        network = Copier(written, 300)
        given, made = objective.write(network, text, VOCABULARY, torch.Generator().manual_seed(5))
        assert torch.equal(given, batch["tokens"][0])
        assert made.tolist() == written
    _, made = objective.write(Copier([300], 300), text, VOCABULARY, torch.Generator().manual_seed(5))
    assert made.tolist() == [300] * len(wanted)
