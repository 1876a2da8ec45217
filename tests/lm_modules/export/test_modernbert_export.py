"""From text to a directory that stock `transformers` opens as ModernBERT, for every objective of encoders."""

import pytest
import torch
import transformers
from tiny_pretraining import tiny_config

from configs.model import ModelConfig
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.export.export import export
from lm_modules.export.folding_modernbert import factors, fold_modernbert, gains, places
from lm_modules.model.scaled import initialize
from lm_modules.objectives.masked_lm import MaskedLm
from lm_modules.training.pretraining import pretrain

MODEL = {
    "width": 32,
    "depth": 4,
    "head_width": 16,
    "context_length": 32,
    "encoder": "modernbert",
    "activation": "gelu",
    "sliding_window": 8,
    "rope_theta": 160_000,
    "local_rope_theta": 10_000,
}
WHOLE_WORDS = {"kind": "masked_lm", "chosen_fraction": 0.3, "whole_words": True}


@pytest.mark.parametrize(
    ("objective", "name"),
    [
        (WHOLE_WORDS, "ModernBertForMaskedLM"),
        ("next_sentence", "ModernBertForMaskedLM"),
        ("replaced_token_detection", "ModernBertForTokenClassification"),
    ],
)
def test_a_run_ends_in_a_stock_modernbert(objective, name, text, tmp_path, caplog):
    tokens, tokenizer = text
    config = tiny_config(model=MODEL, objective=objective)
    result = pretrain(config, tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=0)
    facts = export(result["checkpoint"], tokenizer, tmp_path / "model")
    assert facts["architecture"] == name
    assert facts["max_logit_difference"] <= 1e-4
    # it writes nothing, so nothing is said of what it writes
    assert set(facts) == {"max_logit_difference", "compared_lengths", "architecture", "task", "num_parameters"}
    model = getattr(transformers, name).from_pretrained(tmp_path / "model")
    assert model.config.layer_types == ["full_attention", *["sliding_attention"] * 2, "full_attention"]
    assert model.config.local_attention == 8
    assert (model.config.cls_token_id, model.config.pad_token_id, model.config.sep_token_id) == (0, 1, 0)
    if objective == "next_sentence":
        pair = transformers.AutoModelForSequenceClassification.from_pretrained(tmp_path / "model" / "next_sentence")
        assert pair.config.id2label == {0: "random", 1: "next"}
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


@pytest.mark.parametrize("tied", [False, True])
def test_the_tables_alone_lead_back_to_our_weights(tied):
    model = ModelConfig(**MODEL, tied_embeddings=tied)
    network = MaskedLm().network(model, Vocabulary(50, 0), 256)
    initialize(network, torch.Generator().manual_seed(0))
    ours, stock = network.state_dict(), fold_modernbert(network.state_dict(), model, network.scales)
    assert set(stock) == {*places(model), *gains(model, network.scales)}
    assert set(ours) == {name for own in places(model).values() for name in own}
    factor = factors(model, network.scales)
    for name, own in places(model).items():
        for part, each in zip(stock[name].chunk(len(own)), own, strict=True):
            torch.testing.assert_close(part / factor[each], ours[each], rtol=1e-6, atol=0)
