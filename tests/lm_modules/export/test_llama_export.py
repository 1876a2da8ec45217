import json
import math
from pathlib import Path

import pytest
import torch
from tiny_pretraining import tiny_config
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from configs.model import ModelConfig
from lm_modules.export import export as exporting
from lm_modules.export import parity
from lm_modules.export.export import export, training_graph
from lm_modules.export.folding import fold, llama_settings, unfold
from lm_modules.model.scaled import initialize
from lm_modules.model.transformer import build_transformer
from lm_modules.training.pretraining import pretrain

U_MUP = {
    "kind": "u_mup",
    "alpha_feed_forward_activation": 1.3,
    "alpha_attention_softmax": 0.7,
    "alpha_residual": 1.4,
    "alpha_residual_attention_ratio": 0.8,
    "alpha_loss_softmax": 1.2,
}
VARIANTS = [("standard", False), ("standard", True), ("u_mup", False), ("u_mup", True), (U_MUP, False), (U_MUP, True)]
VOCABULARY = 61


def build(parametrization, tied, dtype=torch.float32):
    model = ModelConfig(
        width=48,
        depth=3,
        head_width=8,
        key_value_heads=2,
        context_length=40,
        tied_embeddings=tied,
        parametrization=parametrization,
    )
    scales = model.parametrization.scales(model, VOCABULARY, 320)
    network = build_transformer(model, VOCABULARY, scales, causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    return network.to(dtype), model, scales


def stock_of(network, model, scales, dtype=torch.float32):
    stock = LlamaForCausalLM(LlamaConfig(**llama_settings(model, VOCABULARY))).to(dtype)
    stock.load_state_dict(fold(network.state_dict(), model, scales), strict=True)
    return stock.eval()


def logit_difference(network, stock, vocab_size, lengths):
    return parity.logit_difference(network, lambda tokens: stock(input_ids=tokens).logits, vocab_size, lengths)


def train_a_little(network, scales):
    """A few large steps, so that nothing is left at its first value."""
    from lm_modules.model.vocabulary_loss import vocabulary_loss

    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    tokens = torch.randint(0, VOCABULARY, (8, 41), generator=torch.Generator().manual_seed(2))
    for _ in range(15):
        hidden = network.hidden(tokens[:, :-1]).flatten(0, 1)
        vocabulary_loss(hidden, network.readout_weight, tokens[:, 1:].flatten(), network.readout_scale).backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
@pytest.mark.parametrize("trained", [False, True])
def test_fold_keeps_the_logits_in_float32(parametrization, tied, trained):
    network, model, scales = build(parametrization, tied)
    if trained:
        train_a_little(network, scales)
    difference = logit_difference(network, stock_of(network, model, scales), VOCABULARY, [17, 40, 90])
    assert difference <= (1e-4 if trained else 1e-5)


@pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
def test_fold_is_exact_in_float64(parametrization, tied, monkeypatch):
    def norm_without_float32(self, hidden):
        return self.weight * hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.variance_epsilon)

    monkeypatch.setattr(LlamaRMSNorm, "forward", norm_without_float32)
    network, model, scales = build(parametrization, tied, torch.float64)
    train_a_little(network, scales)
    stock = stock_of(network, model, scales, torch.float64)
    # Both sides take their rotary angles from float32; every other number here is float64.
    assert logit_difference(network, stock, VOCABULARY, [17, 40]) <= 1e-9


def test_a_wrong_constant_would_be_seen():
    network, model, scales = build("u_mup", False)
    stock = stock_of(network, model, scales)
    with torch.no_grad():
        stock.model.layers[1].self_attn.q_proj.weight *= 1.05
    assert logit_difference(network, stock, VOCABULARY, [40]) > 1e-4


def test_a_logit_that_is_no_number_is_no_agreement():
    network, model, scales = build("u_mup", False)
    stock = stock_of(network, model, scales)
    with torch.no_grad():
        stock.lm_head.weight[3] = torch.nan
    assert math.isnan(logit_difference(network, stock, VOCABULARY, [17, 40]))


@pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
def test_unfold_undoes_fold(parametrization, tied):
    network, model, scales = build(parametrization, tied)
    weights = network.state_dict()
    again = unfold(fold(weights, model, scales), model, scales)
    assert set(again) == set(weights)
    for name, weight in weights.items():
        torch.testing.assert_close(again[name], weight, rtol=1e-6, atol=0)


def test_unfold_takes_a_stock_model_with_gains():
    network, model, scales = build("u_mup", False)
    stock = stock_of(network, model, scales)
    with torch.no_grad():
        for name, parameter in stock.named_parameters():
            if "norm" in name:
                parameter.uniform_(0.5, 1.5, generator=torch.Generator().manual_seed(len(name)))
    network.load_state_dict(unfold(stock.state_dict(), model, scales), strict=True)
    assert logit_difference(network, stock, VOCABULARY, [17, 40]) <= 1e-5


def test_unfold_refuses_gains_that_a_tied_model_cannot_hold():
    network, model, scales = build("u_mup", True)
    stock = fold(network.state_dict(), model, scales)
    stock["model.norm.weight"] = stock["model.norm.weight"] * 3
    with pytest.raises(ValueError, match="as_it_is to true"):
        unfold(stock, model, scales)


@pytest.fixture(scope="module")
def exported(text, tmp_path_factory):
    tokens, tokenizer = text
    directory = tmp_path_factory.mktemp("export")
    result = pretrain(tiny_config(), tokens=tokens, tokenizer=tokenizer, workdir=directory, seed=0)
    facts = export(result["checkpoint"], tokenizer, directory / "model")
    return directory, result, facts


def test_export_opens_and_generates_without_a_warning(exported, caplog):
    directory, result, facts = exported
    assert facts["max_logit_difference"] <= 1e-4
    assert facts["same_greedy_tokens"] == facts["num_greedy_tokens"] == 28
    model = AutoModelForCausalLM.from_pretrained(directory / "model")
    tokenizer = AutoTokenizer.from_pretrained(directory / "model")
    assert (model.config.bos_token_id, model.config.eos_token_id, model.config.pad_token_id) == (0, 0, 1)
    assert tokenizer.model_max_length == model.config.max_position_embeddings == 32
    written = model.generate(**tokenizer("the quick", return_tensors="pt"), max_new_tokens=8, do_sample=False)
    graph, _ = training_graph(Path(result["checkpoint"]))
    text = tokenizer("the quick", return_tensors="pt").input_ids
    for _ in range(8):
        text = torch.cat((text, graph(text)[:, -1:].argmax(-1)), dim=1)
    assert written.tolist() == text.tolist()
    assert not [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")]


def test_model_card_tells_what_was_trained(exported):
    directory, result, _ = exported
    card = (directory / "model" / "README.md").read_text()
    assert f"{result['validation_bits_per_byte']:.4f}" in card
    assert json.loads((directory / "model" / "config.json").read_text())["model_type"] == "llama"


def test_a_model_that_differs_is_not_filed(exported, text, tmp_path, monkeypatch):
    _, result, _ = exported
    monkeypatch.setattr(exporting, "TOLERANCE", 0.0)
    with pytest.raises(RuntimeError, match="nothing was exported"):
        export(result["checkpoint"], text[1], tmp_path / "model")
    assert list(tmp_path.iterdir()) == []
