"""Training that begins at a model from elsewhere."""

import logging
from pathlib import Path

import pytest
import torch
from broken_steps import no_number_at
from stock_bases import make_tokens_for, save_base
from tiny_pretraining import tiny_config
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    BertModel,
    Gemma2Config,
    Gemma2ForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
)

from lm_modules.data.vocabulary import Vocabulary
from lm_modules.export.export import export
from lm_modules.model.stock import quiet_loading
from lm_modules.model.stock_network import (
    StockEncoderDecoder,
    StockNetwork,
    read_out_in_chunks,
    require_isolation,
)
from lm_modules.model.vocabulary_loss import set_chunk_rows
from lm_modules.training import checkpoints
from lm_modules.training.continuation import resolved
from lm_modules.training.pretraining import Interrupted, pretrain

MARKS, ENDS = ("cls_token_id", "sep_token_id"), ("bos_token_id", "eos_token_id")
WIDER = {"context_length": 32, "encoder": "modernbert", "sliding_window": 16}
AS_IT_IS = {
    "gpt2": "causal_lm",
    "bert": {"kind": "masked_lm", "chosen_fraction": 0.3},
    "bart": {"kind": "span_denoising", "whole_text": True},
    "t5": "span_denoising",
}


def continued(base, tokens, workdir, report=None, **changes):
    settings = {
        "base": str(base),
        "model": {"context_length": 32},
        "optimization__learning_rate": 3e-3,
        "optimization__budget_steps": 20,
    }
    arguments = {} if report is None else {"report": report}
    config = tiny_config(**(settings | changes))
    return pretrain(config, tokens=tokens, tokenizer=base, workdir=workdir, seed=3, base=base, **arguments)


@pytest.fixture(scope="module")
def bases(tmp_path_factory):
    """A base of every kind with a text in its tokens."""
    root = tmp_path_factory.mktemp("bases")
    return {
        kind: (save_base(kind, root / kind), make_tokens_for(root / kind, root / f"{kind}-tokens")) for kind in AS_IT_IS
    }


def weights(result, stem="model"):
    return checkpoints.read_tensors(Path(result["checkpoint"]), stem)


@pytest.mark.parametrize("kind", AS_IT_IS)
def test_a_stock_model_is_continued_as_it_is_and_exported_as_what_it_was(bases, kind, tmp_path):
    base, tokens = bases[kind]
    result = continued(base, tokens, tmp_path, objective=AS_IT_IS[kind], as_it_is=True if kind == "t5" else None)
    assert result["validation_loss_nats"] < result["validation_loss_nats_before"] - 0.5
    facts = export(result["checkpoint"], base, tmp_path / "model")
    assert facts["max_logit_difference"] <= 1e-5
    written = {} if kind == "bert" else {"same_greedy_tokens": 28, "num_greedy_tokens": 28}
    assert {name: value for name, value in facts.items() if "greedy" in name} == written
    before, after = (AutoConfig.from_pretrained(each).to_dict() for each in (base, tmp_path / "model"))
    assert after | {"_name_or_path": None} == before | {"_name_or_path": None}
    for name in ("tokenizer.json", "tokenizer_config.json"):
        assert (tmp_path / "model" / name).read_bytes() == (base / name).read_bytes()
    assert str(base) in (tmp_path / "model" / "README.md").read_text()


def test_the_way_is_told_in_the_log_and_kept_in_the_checkpoint(bases, tmp_path, caplog):
    base, tokens = bases["gpt2"]
    with caplog.at_level(logging.INFO):
        result = continued(base, tokens, tmp_path, optimization__budget_steps=1)
    assert "continued as it is (gpt2), with the standard parametrization" in caplog.text
    state = checkpoints.read_state(Path(result["checkpoint"]))
    assert state["config"]["as_it_is"] is True
    assert state["config"]["model"]["parametrization"]["kind"] == "standard"
    assert (state["config"]["model"]["width"], state["config"]["model"]["depth"]) == (32, 2)
    assert state["identity"]["base"].endswith(" as it is")


@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_a_continued_stock_model_resumes_to_the_same_bits(bases, kind, tmp_path):
    base, tokens = bases[kind]
    changes = {"objective": AS_IT_IS[kind], "compute__progress_every_seconds": 0.0, "optimization__budget_steps": 10}
    whole = continued(base, tokens, tmp_path / "whole", **changes)
    with pytest.raises(Interrupted):
        continued(base, tokens, tmp_path / "resumed", lambda step, values: step >= 4, **changes)
    resumed = continued(base, tokens, tmp_path / "resumed", **changes)
    assert resumed["resumed_from_step"] == 4
    assert resumed["validation_loss_nats_before"] == whole["validation_loss_nats_before"]
    one, other = weights(resumed), weights(whole)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_a_continued_run_without_a_checkpoint_goes_back_to_its_base(bases, kind, tmp_path, monkeypatch, caplog):
    base, tokens = bases[kind]
    no_number_at(monkeypatch, 3, 4, 5, 6)
    changes = {"objective": AS_IT_IS[kind], "optimization__budget_steps": 10, "compute__checkpoint_every_steps": 100}
    back = continued(base, tokens, tmp_path / "back", **changes)
    assert "going back to the first step; from there on these steps are left out: 3, 4, 5, 6" in caplog.text
    passed = continued(base, tokens, tmp_path / "passed", **changes, optimization__max_skipped_steps=9)
    assert back["validation_loss_nats_before"] == passed["validation_loss_nats_before"]
    one, other = weights(back), weights(passed)
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_does_not_depend_on_how_the_batch_is_cut_in_spite_of_dropout(bases, tmp_path):
    base, tokens = bases["bert"]  # its configuration drops a tenth
    changes = {"objective": "masked_lm", "optimization__budget_steps": 3}
    whole = weights(continued(base, tokens, tmp_path / "whole", **changes))
    cut = weights(continued(base, tokens, tmp_path / "cut", **changes, optimization__micro_batch_rows=3))
    for name, weight in whole.items():
        torch.testing.assert_close(cut[name], weight, rtol=1e-4, atol=1e-4)


def test_a_run_with_another_base_is_not_continued(bases, tmp_path):
    base, tokens = bases["gpt2"]
    continued(base, tokens, tmp_path / "run", optimization__budget_steps=1)
    other = save_base("gpt2", tmp_path / "other", initializer_range=0.05)
    with pytest.raises(
        ValueError, match=r"another base \(fingerprint [0-9a-f]{64} as it is, now [0-9a-f]{64} as it is\)"
    ):
        continued(other, tokens, tmp_path / "run", optimization__budget_steps=1)


def test_biases_and_gains_do_not_decay_and_everything_else_does(bases, tmp_path):
    base, _ = bases["gpt2"]
    network = StockNetwork(AutoModelForCausalLM.from_pretrained(base))
    table = network.scale_table()
    assert {name for name, scale in table.items() if not scale.decays} == {
        name for name in table if name.endswith("bias") or ".ln_" in name
    }


def test_muon_moves_the_linear_maps_of_the_layers_and_is_refused_where_there_are_none(bases, tmp_path):
    base, tokens = bases["bert"]
    changes = {"optimization__optimizer": "muon", "optimization__muon_learning_rate": 0.02, "objective": "masked_lm"}
    result = continued(base, tokens, tmp_path, **changes)
    assert result["validation_loss_nats"] < result["validation_loss_nats_before"] - 0.5
    moved = {name.rpartition(".")[0] for name in weights(result, "optimizer") if name.endswith("momentum_buffer")}
    assert "stock.bert.encoder.layer.1.attention.self.query.weight" in moved
    assert not any("embeddings" in name or "cls" in name for name in moved)
    with pytest.raises(ValueError, match="no linear maps that Muon could move"):
        continued(*bases["gpt2"], tmp_path / "gpt2", **(changes | {"objective": "causal_lm"}))


@pytest.mark.parametrize("kind", ["gpt2", "bert"])
def test_a_network_knows_its_weights_without_their_copies_and_can_be_copied(bases, kind):
    import copy

    import transformers

    auto_class = {"gpt2": "AutoModelForCausalLM", "bert": "AutoModelForMaskedLM"}[kind]
    network = StockNetwork(getattr(transformers, auto_class).from_pretrained(bases[kind][0]))
    state = network.state_dict()
    assert set(state) == {name for name, _ in network.named_parameters()}
    other = copy.deepcopy(network)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    other.load_state_dict(state, strict=True)
    tokens = torch.randint(8, 200, (2, 16), generator=torch.Generator().manual_seed(0))
    assert torch.equal(other(tokens), network(tokens))


@pytest.mark.parametrize("kind", ["gpt2", "bart"])
def test_the_loss_of_a_plain_readout_makes_no_logits_but_a_chunk_and_is_the_same(bases, kind):
    auto_class = {"gpt2": AutoModelForCausalLM, "bart": AutoModelForSeq2SeqLM}[kind]
    network = (StockNetwork if kind == "gpt2" else StockEncoderDecoder)(auto_class.from_pretrained(bases[kind][0]))
    tokens = torch.randint(8, 200, (4, 24), generator=torch.Generator().manual_seed(0))
    inputs = [tokens] * (1 if kind == "gpt2" else 2)
    labels = tokens.masked_fill(tokens % 5 == 0, -100)
    read_out = []
    network.stock.get_output_embeddings().register_forward_hook(lambda *_: read_out.append(1))
    found = []
    for chunks in (False, True):
        if chunks:
            read_out_in_chunks(network, 24)
            read_out.clear()
            assert network.reads_out_in_chunks
            set_chunk_rows(network, 7)
        network.zero_grad()
        loss = network.nats(*inputs, labels)
        loss.backward()
        assert bool(read_out) != chunks
        found.append((loss.detach(), {name: each.grad.clone() for name, each in network.named_parameters()}))
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)
    assert network.loss_chunk_rows == 7


@pytest.mark.parametrize("kind", ["bert", "t5", "soft_cap"])
def test_logits_that_are_more_than_one_product_are_made_at_once_and_the_log_says_so(bases, kind, caplog):
    if kind == "soft_cap":
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = Gemma2Config(vocab_size=320, num_key_value_heads=2, head_dim=16, **shape)
        network = StockNetwork(Gemma2ForCausalLM(config))
    elif kind == "t5":
        network = StockEncoderDecoder(AutoModelForSeq2SeqLM.from_pretrained(bases[kind][0]))
    else:
        network = StockNetwork(AutoModelForMaskedLM.from_pretrained(bases[kind][0]))
    with caplog.at_level(logging.INFO):
        read_out_in_chunks(network, 24)
    assert not network.reads_out_in_chunks
    assert "the logits of all rows exist at once" in caplog.text


def test_two_causal_parts_continue_a_stock_model_as_it_is(bases, tmp_path):
    base, tokens = bases["gpt2"]
    parts = {"across": {}, "apart": {"objective": {"kind": "causal_lm", "isolate_documents": True}}}
    result = continued(base, tokens, tmp_path, objective={"kind": "mixture", "parts": parts})
    assert result["validation_loss_nats"] < result["validation_loss_nats_before"] - 0.5
    facts = export(result["checkpoint"], base, tmp_path / "model")
    assert facts["max_logit_difference"] <= 1e-5


def test_isolated_documents_have_the_loss_that_they_have_alone(bases):
    network = StockNetwork(AutoModelForCausalLM.from_pretrained(bases["gpt2"][0]))
    tokens = torch.randint(8, 200, (2, 24), generator=torch.Generator().manual_seed(0))
    documents = torch.tensor([[0] * 9 + [1] * 15, [0] * 4 + [1] * 10 + [2] * 10])
    with torch.no_grad():
        packed = network(tokens, documents)
        assert not torch.allclose(packed[1, 4:14], network(tokens)[1, 4:14], atol=1e-3)
        torch.testing.assert_close(packed[0, 9:], network(tokens[:1, 9:])[0], rtol=0, atol=1e-6)
        torch.testing.assert_close(packed[1, 4:14], network(tokens[1:, 4:14])[0], rtol=0, atol=1e-6)


def test_a_window_that_isolation_would_undo_is_found():
    def decoder(window):
        torch.manual_seed(0)
        shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
        config = MistralConfig(
            vocab_size=96, num_key_value_heads=2, sliding_window=window, initializer_range=0.2, **shape
        )
        return StockNetwork(MistralForCausalLM(config))

    require_isolation(decoder(None), 32)
    with pytest.raises(ValueError, match="does not keep the documents of a row apart"):
        require_isolation(decoder(24), 32)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("bert", {"objective": "causal_lm"}, "BertLMHeadModel does not read backward only, as causal_lm needs"),
        ("gpt2", {"objective": "next_sentence"}, "next_sentence needs our own network and cannot continue a gpt2"),
        ("gpt2", {"objective": "replaced_token_detection"}, "replaced_token_detection needs our own network"),
        ("gpt2", {"optimization__learning_rate": 0.5}, "learning_rate 0.5 is one for u_mup"),
        (
            "gpt2",
            {"as_it_is": False},
            r"is a gpt2, which our network cannot become \(eurobert, llama, ministral, modernbert, qwen3, t5",
        ),
        (
            "gpt2",
            {"model": {"context_length": 64}},
            r"context_length 64 is more than the 32 tokens that the base reads; set it to at most 32",
        ),
        (
            "gpt2",
            {"objective": {"kind": "causal_lm", "fill_in_middle_fraction": 1.0}},
            r"the tokenizer has no special token <\|fill_prefix\|>",
        ),
        ("gpt2", {"objective": "masked_lm"}, "masked_lm trains an AutoModelForMaskedLM, and a gpt2 is none"),
        ("bart", {"objective": "span_denoising"}, "needs .* sentinels"),
    ],
)
def test_what_cannot_be_continued_is_refused_with_the_reason(bases, kind, changes, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        continued(*bases[kind], tmp_path, **changes)


def test_a_base_without_its_head_is_refused_because_the_head_would_be_random(bases, tmp_path):
    base, tokens = bases["bert"]
    with quiet_loading():
        BertModel.from_pretrained(base).save_pretrained(tmp_path / "headless")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "headless" / name).write_bytes((base / name).read_bytes())
    with pytest.raises(ValueError, match=r"not all weights of a BertForMaskedLM: cls\.predictions"):
        continued(tmp_path / "headless", tokens, tmp_path / "run", objective="masked_lm")


@pytest.fixture
def modernbert(bases, tmp_path):
    """A stock ModernBERT with the special tokens of BERT, and a text in its tokens."""
    bert, tokens = bases["bert"]
    ids = {name: AutoConfig.from_pretrained(bert).to_dict().get(name) for name in ("pad_token_id", *MARKS, *ENDS)}
    config = ModernBertConfig(
        vocab_size=320,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        hidden_activation="gelu_pytorch_tanh",
        local_attention=8,
        max_position_embeddings=48,
        decoder_bias=False,
        tie_word_embeddings=False,
        **ids,
    )
    torch.manual_seed(0)
    with quiet_loading():
        ModernBertForMaskedLM(config).save_pretrained(tmp_path / "modernbert")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tmp_path / "modernbert" / name).write_bytes((bert / name).read_bytes())
    return tmp_path / "modernbert", tokens


def test_a_stock_modernbert_becomes_our_network_and_keeps_its_windows_and_special_tokens(modernbert, tmp_path):
    base, tokens = modernbert
    changes = {"objective": "masked_lm", "optimization__learning_rate": 0.3}
    result = continued(base, tokens, tmp_path / "run", **changes)
    assert result["validation_loss_nats"] < result["validation_loss_nats_before"] - 0.5
    assert checkpoints.read_state(Path(result["checkpoint"]))["config"]["as_it_is"] is False
    facts = export(result["checkpoint"], base, tmp_path / "model")
    assert facts["max_logit_difference"] <= 1e-5
    before, after = (AutoConfig.from_pretrained(each).to_dict() for each in (base, tmp_path / "model"))
    assert len({before[name] for name in ("pad_token_id", *MARKS)}) == 3
    assert after | {"_name_or_path": None} == before | {"_name_or_path": None}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, r"causal_lm cannot train the shape of the base, a modernbert \(model\.encoder modernbert is nothing"),
        (
            {"objective": "masked_lm", "model": WIDER},
            "sliding_window is 16, and the base has 8",
        ),
        (
            {"objective": "masked_lm", "model": {"context_length": 32, "rope_theta": 5.0}},
            r"rope_theta is 5\.0, and the base has 160000\.0",
        ),
    ],
)
def test_a_modernbert_takes_the_objective_and_the_windows_of_its_kind(modernbert, changes, message):
    base, _ = modernbert
    with pytest.raises(ValueError, match=message):
        resolved(tiny_config(base=str(base), **({"model": {"context_length": 32}} | changes)), base)


def test_text_that_another_tokenizer_cut_is_refused_with_both_digests(bases, tmp_path):
    config = tiny_config(base=str(bases["gpt2"][0]), optimization__learning_rate=1e-3)
    with pytest.raises(ValueError, match=r"tokenizer [0-9a-f]{64}, and the text was cut by [0-9a-f]{64}; set"):
        pretrain(
            config,
            tokens=bases["bert"][1],
            tokenizer=bases["bert"][0],
            workdir=tmp_path,
            seed=0,
            base=bases["gpt2"][0],
        )


def test_rows_that_are_no_token_are_never_drawn():
    wide = Vocabulary(5, 0, (("<|endoftext|>", 0),)).widened(8)
    assert wide.size == 8
    assert wide.special_ids == [0, 5, 6, 7]
    with pytest.raises(ValueError, match="the model knows 4 tokens and its tokenizer 5"):
        Vocabulary(5, 0).widened(4)


U_MUP = {"kind": "u_mup", "alpha_residual": 0.7, "alpha_attention_softmax": 2.0, "alpha_loss_softmax": 3.0}
LOCAL = {"depth": 3, "sliding_window": 8, "global_every": 2}
MODERNBERT = LOCAL | {"encoder": "modernbert", "activation": "gelu", "rope_theta": 160_000, "local_rope_theta": 10_000}
OWN = [
    ("causal_lm", "standard", {}),
    ("causal_lm", U_MUP, {}),
    ("causal_lm", U_MUP, {"query_key_norm": True}),
    ("causal_lm", U_MUP, {"tied_embeddings": True}),
    ("masked_lm", U_MUP, {}),
    ("span_denoising", U_MUP, {}),
    ("span_denoising", U_MUP, {"tied_embeddings": True}),
    ("span_denoising", U_MUP, {"activation": "gelu"}),
    ("causal_lm", U_MUP, {"activation": "gelu", **LOCAL}),
    ("causal_lm", U_MUP, {"query_key_norm": True, **LOCAL}),
    ("masked_lm", "standard", MODERNBERT),
    ("masked_lm", U_MUP, MODERNBERT),
    ("masked_lm", U_MUP, MODERNBERT | {"tied_embeddings": True, "sliding_window": None, "local_rope_theta": None}),
]


@pytest.mark.parametrize(("objective", "parametrization", "shape"), OWN)
def test_our_own_export_goes_on_where_it_ended(text, objective, parametrization, shape, tmp_path):
    tokens, tokenizer = text
    learning_rate = 5e-3 if parametrization == "standard" else 0.3
    changes = {"objective": objective, "optimization__learning_rate": learning_rate}
    model = {"width": 32, "depth": 2, "head_width": 16, "context_length": 32, "parametrization": parametrization}
    first = pretrain(
        tiny_config(**changes, model=model | shape),
        tokens=tokens,
        tokenizer=tokenizer,
        workdir=tmp_path / "first",
        seed=1,
    )
    export(first["checkpoint"], tokenizer, tmp_path / "model")
    base = tmp_path / "model"
    # the shape is that of the base, which need not be told; the parametrization is the user's
    changes |= {"optimization__learning_rate": learning_rate / 3}  # less, to go on from what is learned
    config = tiny_config(**changes, base=str(base), model={"context_length": 32, "parametrization": parametrization})
    second = pretrain(config, tokens=tokens, tokenizer=base, workdir=tmp_path / "second", seed=1, base=base)
    assert second["validation_loss_nats_before"] == pytest.approx(first["validation_loss_nats"], abs=1e-5)
    assert second["validation_loss_nats"] < first["validation_loss_nats"]
    state = checkpoints.read_state(Path(second["checkpoint"]))
    assert state["config"]["model"]["width"] == 32
    assert state["config"]["as_it_is"] is False
    facts = export(second["checkpoint"], base, tmp_path / "again")
    assert facts["max_logit_difference"] <= 1e-4
    before, after = (AutoConfig.from_pretrained(each).to_dict() for each in (base, tmp_path / "again"))
    assert after | {"_name_or_path": None} == before | {"_name_or_path": None}


def test_a_shape_that_differs_from_the_base_is_refused_with_both_values(text, tmp_path):
    tokens, tokenizer = text
    first = pretrain(
        tiny_config(optimization__budget_steps=1), tokens=tokens, tokenizer=tokenizer, workdir=tmp_path, seed=1
    )
    base = tmp_path / "model"
    export(first["checkpoint"], tokenizer, base)
    config = tiny_config(base=str(base), model={"width": 64, "head_width": 16, "depth": 3, "context_length": 32})
    with pytest.raises(ValueError, match="width is 64, and the base has 32; depth is 3, and the base has 2"):
        pretrain(config, tokens=tokens, tokenizer=base, workdir=tmp_path / "run", seed=0, base=base)
    config = tiny_config(base=str(base), objective="masked_lm")
    with pytest.raises(ValueError, match=r"masked_lm trains a network that is exported as eurobert, .* is a llama"):
        pretrain(config, tokens=tokens, tokenizer=base, workdir=tmp_path / "run", seed=0, base=base)
