"""Every shipped pretraining preset is what its name says; the tiny ones run through the engine to a stock model."""

import re

import pytest
import torch

from configs.loading import load, presets
from lm_modules.data.packed import pack
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.export.export import export
from lm_modules.training.pretraining import pretrain

PRETRAINING = [name for name, path in presets().items() if path.parent.name == "pretraining"]
TINY = [name for name in PRETRAINING if name.startswith("tiny_")]
LAYERS_OF_THE_ORIGINAL = {
    "gpt_124m": 84_934_656,  # GPT-2 small (Radford et al. 2019): 12 x 12 x 768^2
    "bert_base": 84_934_656,  # BERT base (Devlin et al. 2019): the same
    "t5_base": 198_180_864,  # T5 v1.1 base: 12 x (4 + 8) x 768^2 and 24 x 3 x 768 x 2048
    "electra_small": 9_437_184,  # ELECTRA small (Clark et al. 2020): 12 x 12 x 256^2, the discriminator's
}
"""Weights of the layers' matrices."""


def on_meta(name: str):
    """Return the network of a preset without memory for its weights."""
    config = load(name)
    tokenizer = config.tokenization.tokenizer
    names = (*SPECIAL, *(sentinel(number) for number in range(tokenizer.sentinels)))
    size = getattr(tokenizer, "vocabulary_size", 320)
    vocabulary = Vocabulary(size, 0, tuple((each, number) for number, each in enumerate(names)))
    settings = config.pretraining
    with torch.device("meta"):
        return settings.objective.network(settings.model, vocabulary, settings.optimization.batch_tokens)


def count(network, part: str = "") -> int:
    return sum(each.numel() for name, each in network.named_parameters() if part in name)


@pytest.mark.parametrize("name", PRETRAINING)
def test_it_can_be_exported_and_has_as_many_parameters_as_its_name_says(name):
    settings = load(name).pretraining
    assert settings.objective.architecture(settings.model)
    total = count(on_meta(name))
    print(f"{name}: {total:,} parameters")
    assert total > 0
    if said := re.search(r"_(\d+)(m|b)$", name):
        expected = int(said[1]) * {"m": 1e6, "b": 1e9}[said[2]]
        assert total == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize(("name", "expected"), LAYERS_OF_THE_ORIGINAL.items())
def test_its_layers_are_as_large_as_those_it_is_named_after(name, expected):
    part = "discriminator.layers." if name == "electra_small" else "layers."
    assert count(on_meta(name), part) == pytest.approx(expected, rel=0.03)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The text of the tiny presets, which is one for all."""
    directory, config = tmp_path_factory.mktemp("text"), load(TINY[0])
    assert all(
        (each.data_preparation, each.tokenization) == (config.data_preparation, config.tokenization)
        for each in map(load, TINY)
    )
    prepare(config.data_preparation, directory / "corpus", config.seed)
    train_tokenizer(config.tokenization, directory / "corpus", directory / "tokenizer")
    pack(config.tokenization, directory / "corpus", directory / "tokenizer", directory / "tokens")
    return directory


@pytest.mark.parametrize("name", TINY)
def test_two_steps_and_the_export_of_a_tiny_one(name, prepared, tmp_path):
    config = load(name, ["pretraining.optimization.budget_steps=2", "pretraining.compute.accelerator=cpu"])
    parts = {"tokens": prepared / "tokens", "tokenizer": prepared / "tokenizer"}
    trained = pretrain(config.pretraining, **parts, workdir=tmp_path, seed=config.seed)
    assert (trained["steps"], trained["skipped_steps"]) == (2, 0)
    assert 0 < trained["validation_loss_nats"] < 60
    exported = export(tmp_path / "checkpoints" / "step-00000002", parts["tokenizer"], tmp_path / "model")
    assert exported["max_logit_difference"] <= 1e-4
    assert (tmp_path / "model" / "model.safetensors").exists()


def test_there_is_a_tiny_preset_of_every_objective():
    from configs.component import members

    assert {load(name).pretraining.objective.kind for name in TINY} == set(members("lm_modules.objectives"))
