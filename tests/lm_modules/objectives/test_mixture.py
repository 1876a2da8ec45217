import pytest
import torch
from pydantic import ValidationError

from configs.component import members
from configs.model import ModelConfig
from configs.pipeline import PipelineConfig
from configs.pretraining import PretrainingConfig
from lm_modules.data.rows import Rows
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize, scales_of
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

ENCODERS = {
    "eurobert": MODEL,
    "modernbert": MODEL.model_copy(update={"encoder": "modernbert", "activation": "gelu", "sliding_window": 8}),
}
WORDS = {"objective": {"kind": "masked_lm", "chosen_fraction": 0.3}, "weight": 0.5}
PAIRS = {"objective": {"kind": "next_sentence", "next_sentence_weight": 2.0}, "weight": 0.5}
OBJECTIVES = members("lm_modules.objectives")


def rows_for(mixture, streams):
    """Random rows, each as long as its part wants it, the rest filled up."""
    wanted = [stream.row_length for stream in mixture.streams(MODEL.context_length)]
    length = max(wanted)
    tokens = torch.randint(len(NAMES), 96, (len(streams), length), generator=torch.Generator().manual_seed(0))
    lengths, documents = torch.tensor([wanted[stream] for stream in streams]), torch.arange(len(streams))
    return Rows(tokens, lengths, torch.tensor(streams), documents[:, None].expand(-1, length))


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


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("parts", [{"words": WORDS, "pairs": PAIRS}, {"pairs": PAIRS, "words": WORDS}])
def test_hidden_words_and_pairs_in_one_network_have_the_losses_that_they_have_alone(parts, encoder):
    mixture, model = Mixture(parts=parts), ENCODERS[encoder]
    rows = rows_for(mixture, [0, 1, 0, 1, 1, 0, 0, 1])
    batch = mixture.corrupt_rows(rows, VOCABULARY, torch.Generator().manual_seed(1))
    network = mixture.network(model, VOCABULARY, 256)
    initialize(network, torch.Generator().manual_seed(0))
    weights = network.state_dict()
    inside = {name.removeprefix("encoder."): each for name, each in weights.items() if name.startswith("encoder.")}
    losses, generator = mixture.losses(network, batch), torch.Generator().manual_seed(1)
    for number, (name, part) in enumerate(mixture.parts.items()):
        own = part.objective.corrupt_rows(rows.of_stream(number), VOCABULARY, generator)
        alone = part.objective.network(model, VOCABULARY, 256)
        alone.load_state_dict({"pairs": weights, "words": inside}[name], strict=True)
        for key, loss in part.objective.losses(alone, own).items():
            assert torch.equal(losses.pop(name if key == "loss" else f"{name}/{key}"), loss)
    assert not losses
    assert mixture.weights() == {"words": 0.5, "pairs/masked_lm": 0.5, "pairs/next_sentence": 1.0}
    assert mixture.architecture(model) == f"{encoder}_pair"


def test_hidden_words_leave_the_head_for_pairs_alone():
    mixture = Mixture(parts={"words": WORDS, "pairs": PAIRS})
    batch = mixture.corrupt_rows(rows_for(mixture, [0, 1, 1, 0]), VOCABULARY, torch.Generator().manual_seed(1))
    network = mixture.network(MODEL, VOCABULARY, 128)
    initialize(network, torch.Generator().manual_seed(0))
    mixture.losses(network, mixture.cut(batch, 0, 1))["words"].backward()
    assert {name for name, each in network.named_parameters() if each.grad is None} == {"dense.weight", "answer.weight"}


def test_the_first_part_that_can_write_does():
    mixture = Mixture(parts={"pairs": PAIRS, "words": WORDS})
    network = mixture.network(MODEL, VOCABULARY, 128)
    initialize(network, torch.Generator().manual_seed(0))
    text = torch.randint(len(NAMES), 96, (32,), generator=torch.Generator().manual_seed(2))
    written = mixture.write(network, text, VOCABULARY, torch.Generator().manual_seed(3))
    expected = mixture.parts["words"].objective.write(
        network.encoder, text, VOCABULARY, torch.Generator().manual_seed(3)
    )
    assert all(torch.equal(one, other) for one, other in zip(written, expected, strict=True))
    assert Mixture(parts={"pairs": PAIRS}).write(network, text, VOCABULARY, torch.Generator()) is None


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("kind", "held", "place"), [(kind, *each) for kind, found in OBJECTIVES.items() for each in found.holds.items()]
)
def test_a_network_that_an_objective_holds_is_the_one_that_it_has_alone(kind, held, place, encoder):
    whole, alone = (OBJECTIVES[each]().network(ENCODERS[encoder], VOCABULARY, 128) for each in (kind, held))
    inner = whole.get_submodule(place)
    assert type(inner) is type(alone)
    assert [str(each) for each in inner.children()] == [str(each) for each in alone.children()]
    scales = {name: scale for name, scale in scales_of(whole).items() if name.startswith(f"{place}.")}
    assert scales == {f"{place}.{name}": scale for name, scale in scales_of(alone).items()}


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
    with pytest.raises(ValidationError, match=r"'write' is exported as llama, 'fill' as eurobert, which is no part"):
        PretrainingConfig.model_validate({"objective": mixture, "optimization": {"budget_steps": 1}})
    three = Mixture(parts={"write": {}, "words": WORDS, "pairs": PAIRS})
    with pytest.raises(ValueError, match=r"'pairs' is exported as eurobert_pair, 'write' as llama, .* next_sentence"):
        three.network(MODEL, VOCABULARY, 256)
    detector = Mixture(parts={"words": WORDS, "detect": {"objective": "replaced_token_detection"}})
    with pytest.raises(ValueError, match=r"'words' is exported as eurobert, 'detect' as eurobert_detector"):
        detector.network(MODEL, VOCABULARY, 256)
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
