"""What the stages of one file demand of each other."""

from __future__ import annotations

import pytest

from configs.loading import ConfigError, load


@pytest.mark.parametrize(
    "override",
    [
        "finetuning.data.held_out_seed=1",
        "data_preparation.sources.0.held_out_seed=1",
        "data_preparation.sources.0.held_out_seed=null",
    ],
)
def test_pretraining_on_the_modules_of_the_labelled_test_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match=r"choose different modules.*of the labelled test; give both the same number"):
        load("demo", [override])


def test_the_same_other_seed_for_both_is_accepted() -> None:
    config = load("demo", ["data_preparation.sources.0.held_out_seed=1", "finetuning.data.held_out_seed=1"])
    assert config.finetuning
    assert config.finetuning.data.held_out_seed == 1


@pytest.mark.parametrize(("split", "reader"), [("validation", "pretraining"), ("test", "evaluation.language_model")])
def test_a_stage_without_its_held_out_text_is_refused(split: str, reader: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"{split}_fraction is 0, and {reader} needs {split} text; leave .* or raise"
    ):
        load("small", [f"data_preparation.split.{split}_fraction=0"])


def test_text_that_no_stage_asks_for_need_not_be_held_out() -> None:
    load("small", ["data_preparation.split.test_fraction=0", "evaluation.language_model=null"])
    nothing = [f"data_preparation.split.{split}_fraction=0" for split in ("validation", "test")]
    load("small", [*nothing, "pretraining=null", "evaluation=null"])


def test_bits_per_byte_are_measured_of_language_models_also_of_those_that_fill_in_middles() -> None:
    config = load("small", ["pretraining.objective={kind: causal_lm, fill_in_middle_fraction: 0.5}"])
    assert config.evaluation
    assert config.evaluation.language_model
    with pytest.raises(ConfigError, match=r"measures bits per byte, which masked_lm does not give"):
        load("small", ["pretraining.objective=masked_lm"])


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["pretraining.base=a/model"],
            "reads the tokens of its own tokenizer; set tokenization.tokenizer to pretrained",
        ),
        (["tokenization.tokenizer=pretrained"], "none is named; set its base, or pretraining.base"),
        (["pretraining.as_it_is=true"], "as_it_is says how a base is continued, and there is none"),
    ],
)
def test_a_base_and_its_tokenizer_belong_together(overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("small", overrides)


def test_the_tokenizer_is_that_of_the_base_unless_another_is_named() -> None:
    taken = ["tokenization.tokenizer=pretrained"]
    assert load("small", [*taken, "pretraining.base=one"]).tokenizer_base == "one"
    other = load("small", [*taken, "tokenization.tokenizer.base=other"])
    assert other.tokenizer_base == "other"
    assert load("small").tokenizer_base is None


def test_a_packing_that_pads_is_for_objectives_that_do_not_read_padding() -> None:
    padded = ["tokenization.packing=best_fit", "evaluation.language_model=null"]
    assert load("small", padded).tokenization
    with pytest.raises(ConfigError, match="best_fit fills rows up with padding, which span_denoising would read"):
        load("small", [*padded, "pretraining.objective=span_denoising"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ("{python_documentation/docstrings: 1}", "source_weights has no weight for python_documentation/source"),
        (
            "{python_documentation: 1, pyton: 2}",
            "tokenization.mixing.source_weights names the source 'pyton'",
        ),
    ],
)
def test_weights_of_sources_are_looked_at_before_the_text_is_prepared(weights: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("small", [f"tokenization.mixing.source_weights={weights}"])
    load("small", ["tokenization.mixing.source_weights={python_documentation: 1}"])


@pytest.mark.parametrize("where", ["evaluation.metrics=[macro_f1, bleu]", "promotion.metric=bleu"])
def test_a_metric_that_does_not_score_what_is_answered_is_refused(where: str) -> None:
    said = r"bleu scores texts, and sequence_classification answers with labels; choose among accuracy, macro_f1"
    with pytest.raises(ConfigError, match=said):
        load("demo", [where])
