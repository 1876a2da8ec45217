import pytest
import torch
from pydantic import ValidationError

from configs.model import ModelConfig
from configs.pipeline import PipelineConfig
from lm_modules.data.rows import Rows
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize
from lm_modules.objectives.causal_lm import CausalLm
from lm_modules.objectives.mixture import Mixture
from lm_modules.objectives.span_denoising import SpanDenoising

NAMES = (*SPECIAL, *(sentinel(number) for number in range(16)))
VOCABULARY = Vocabulary(96, 0, tuple((name, index) for index, name in enumerate(NAMES)))
MODEL = ModelConfig(width=32, depth=2, head_width=16, context_length=32)
DENOISERS = {
    "regular": {"objective": "span_denoising", "weight": 0.5},
    "extreme": {"objective": {"kind": "span_denoising", "noise_fraction": 0.5, "mean_span": 8}, "weight": 0.5},
}


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def rows_for(mixture, streams):
    """Random rows, each as long as its part wants it, the rest filled up."""
    wanted = [stream.row_length for stream in mixture.streams(MODEL.context_length)]
    length = max(wanted)
    tokens = torch.randint(len(NAMES), 96, (len(streams), length), generator=torch.Generator().manual_seed(0))
    return Rows(tokens, torch.tensor([wanted[stream] for stream in streams]), torch.tensor(streams))


def test_each_part_has_the_loss_that_it_has_alone():
    mixture = Mixture(parts=DENOISERS)
    rows = rows_for(mixture, [0, 1, 0, 0, 1, 0])
    batch = mixture.corrupt_rows(rows, VOCABULARY, torch.Generator().manual_seed(1))
    network = mixture.network(MODEL, VOCABULARY, 192)
    initialize(network, torch.Generator().manual_seed(0))
    losses = mixture.losses(network, batch)
    generator = torch.Generator().manual_seed(1)
    for number, (name, part) in enumerate(mixture.parts.items()):
        own = rows.of_stream(number)
        assert own.tokens.shape[1] == part.objective.row_length(32)
        alone = part.objective.corrupt(own.tokens, VOCABULARY, generator)
        assert torch.equal(losses[name], part.objective.losses(network, alone)["loss"])
    assert mixture.weights() == {"regular": 0.5, "extreme": 0.5}


def test_a_piece_keeps_its_rows_and_leaves_out_a_part_without_any():
    mixture = Mixture(parts=DENOISERS)
    rows = rows_for(mixture, [0, 1, 0, 0, 1, 0])
    batch = mixture.corrupt_rows(rows, VOCABULARY, torch.Generator().manual_seed(1))
    piece = mixture.cut(batch, 2, 2)
    assert mixture.num_rows(piece) == 2
    assert torch.equal(piece["regular/tokens"], batch["regular/tokens"][1:3])
    assert not any(name.startswith("extreme") for name in piece)
    assert mixture.num_scored(piece)["extreme"] == 0
    network = mixture.network(MODEL, VOCABULARY, 192)
    initialize(network, torch.Generator().manual_seed(0))
    assert set(mixture.losses(network, piece)) == {"regular"}


def test_parts_of_a_part_are_named_after_it():
    mixture = Mixture(
        parts={"pairs": {"objective": "next_sentence", "weight": 3}, "more": {"objective": "next_sentence"}}
    )
    assert mixture.weights() == {
        "pairs/masked_lm": 0.75,
        "pairs/next_sentence": 0.75,
        "more/masked_lm": 0.25,
        "more/next_sentence": 0.25,
    }
    assert mixture.fewest_rows() == 8
    assert not mixture.scores_every_token


def test_bits_per_byte_are_told_if_all_parts_score_every_token():
    assert Mixture(parts={"a": {}, "b": {"sources": ["web"]}}).scores_every_token
    assert not Mixture(parts={"a": {}, "b": {"objective": "masked_lm"}}).scores_every_token
    filling = Mixture(parts={"a": {}, "b": {"objective": {"kind": "causal_lm", "fill_in_middle_fraction": 0.5}}})
    assert not filling.scores_every_token
    assert filling.continues_text
    assert not Mixture(parts={"a": {}, "b": {"objective": "masked_lm"}}).continues_text


def test_stock_models_are_those_that_all_parts_train():
    isolated = {"objective": {"kind": "causal_lm", "isolate_documents": True}}
    assert Mixture(parts={"a": {}, "b": isolated}).stock_class == "AutoModelForCausalLM"
    assert Mixture(parts={"a": {}, "b": isolated}).isolate_documents
    assert not Mixture(parts={"a": {}}).isolate_documents
    assert Mixture(parts={"a": {"objective": "next_sentence"}}).stock_class is None
    for other, named in (("masked_lm", "AutoModelForMaskedLM"), ("next_sentence", "no stock model")):
        mixture = Mixture(parts={"write": {}, "read": {"objective": other}})
        with pytest.raises(ValueError, match=f"'write' trains AutoModelForCausalLM, 'read' {named}; leave one out"):
            _ = mixture.stock_class


def test_parts_of_different_networks_are_refused_with_both_names():
    mixture = Mixture(parts={"write": {}, "fill": {"objective": "masked_lm"}})
    with pytest.raises(ValueError, match=r"'write' is exported as llama, 'fill' as eurobert"):
        mixture.network(MODEL, VOCABULARY, 256)
    detectors = {
        name: {"objective": {"kind": "replaced_token_detection", "generator_width_fraction": fraction}}
        for name, fraction in (("small", 0.5), ("large", 1.0))
    }
    with pytest.raises(ValueError, match=r"'small' and 'large' of the mixture need networks of different weights"):
        Mixture(parts=detectors).network(MODEL, VOCABULARY, 256)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"loss": {}}, "cannot be called 'loss'"),
        ({"A b": {}}, "cannot be called 'A b'"),
        ({"a": {"objective": "mixture"}}, "unknown kind 'mixture'"),
        ({"a": {"weight": 0}}, "greater than 0"),
        ({}, "at least 1"),
    ],
)
def test_parts_that_cannot_be_are_refused(parts, message):
    with pytest.raises(ValidationError, match=message):
        Mixture.model_validate({"parts": parts})


def pipeline(objective, batch_tokens=1024):
    return {
        "data_preparation": {"sources": [{"kind": "python_documentation", "name": "web"}]},
        "tokenization": {},
        "pretraining": {
            "objective": objective,
            "optimization": {"budget_steps": 1, "batch_tokens": batch_tokens},
            "model": {"context_length": 256},
        },
    }


def test_a_source_that_is_not_there_and_a_batch_too_small_are_refused_before_anything_runs():
    parts = {"a": {"sources": ["wbe"]}, "b": {}}
    with pytest.raises(ValidationError, match=r"objective\.parts\.a\.sources names the source 'wbe'.*web/source"):
        PipelineConfig.model_validate(pipeline({"kind": "mixture", "parts": parts}))
    parts = {"a": {"sources": ["web"], "weight": 0.9}, "b": {"weight": 0.1}}
    with pytest.raises(ValidationError, match=r"mixture needs at least 10 rows in a batch; raise .* 1024 to 2560"):
        PipelineConfig.model_validate(pipeline({"kind": "mixture", "parts": parts}))
    PipelineConfig.model_validate(pipeline({"kind": "mixture", "parts": parts}, 2560))


def test_the_lengths_of_the_parts_are_those_of_their_objectives():
    mixture = Mixture(parts={"a": {}, "b": {"objective": {"kind": "causal_lm", "isolate_documents": True}}})
    assert [(each.row_length, each.overlap) for each in mixture.streams(32)] == [(33, 1), (33, 1)]
    denoisers = Mixture(parts=DENOISERS).streams(32)
    assert [each.row_length for each in denoisers] == [
        SpanDenoising().row_length(32),
        SpanDenoising(noise_fraction=0.5, mean_span=8).row_length(32),
    ]
    assert len({each.row_length for each in denoisers}) == 2
    assert CausalLm().streams(32)[0].sources is None
