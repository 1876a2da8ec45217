"""Every objective's network in every shape, against the stock architecture that it is folded into."""

import math
from functools import cache

import pytest
import torch
from transformers.models.eurobert.modeling_eurobert import EuroBertRMSNorm
from transformers.models.llama import modeling_llama
from transformers.models.ministral.modeling_ministral import MinistralRMSNorm
from transformers.models.modernbert import modeling_modernbert
from transformers.models.qwen3.modeling_qwen3 import Qwen3RMSNorm
from transformers.models.t5.modeling_t5 import T5LayerNorm

from configs.component import members
from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.scaled import initialize

OBJECTIVES = members("lm_modules.objectives")
ARCHITECTURES = members("lm_modules.export.architectures")
NAMES = (*SPECIAL, *(sentinel(number) for number in range(8)))
VOCABULARY = Vocabulary(96, 0, tuple((name, index) for index, name in enumerate(NAMES)))
IDS = {"bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 1, "mask_token_id": 2}
STANDARD = {"kind": "standard", "initial_std": 0.15}  # of width 48, so that logits are about 1 from the beginning
ALPHAS = {
    "kind": "u_mup",
    "alpha_feed_forward_activation": 1.3,
    "alpha_attention_softmax": 0.7,
    "alpha_residual": 1.4,
    "alpha_residual_attention_ratio": 0.8,
    "alpha_loss_softmax": 1.2,
}
WINDOWS = {"sliding_window": 8, "global_every": 2}
ODD_WINDOWS = {"sliding_window": 7, "global_every": 3}
MODERNBERT = {
    **WINDOWS,
    "encoder": "modernbert",
    "activation": "gelu",
    "key_value_heads": None,
    "rope_theta": 160_000.0,
    "local_rope_theta": 10_000.0,
}
SHAPES = {
    **{kind: (kind, {}) for kind in OBJECTIVES},
    "causal_lm, GeGLU": ("causal_lm", {"activation": "gelu"}),
    "causal_lm, windows": ("causal_lm", WINDOWS),
    "causal_lm, odd windows": ("causal_lm", ODD_WINDOWS),
    "causal_lm, normed queries": ("causal_lm", {"query_key_norm": True}),
    "causal_lm, normed queries, windows": ("causal_lm", {"query_key_norm": True, **WINDOWS}),
    "causal_lm, normed queries, odd windows": ("causal_lm", {"query_key_norm": True, **ODD_WINDOWS}),
    "masked_lm, GeGLU": ("masked_lm", {"activation": "gelu"}),
    "masked_lm, ModernBERT, odd windows": ("masked_lm", MODERNBERT | ODD_WINDOWS),
    "span_denoising, GeGLU": ("span_denoising", {"activation": "gelu"}),
    **{
        f"{kind}, ModernBERT": (kind, MODERNBERT) for kind in ("masked_lm", "next_sentence", "replaced_token_detection")
    },
}
VARIANTS = [(parametrization, tied) for parametrization in ("standard", "u_mup") for tied in (False, True)]
every_shape = pytest.mark.parametrize("shape", SHAPES)
every_variant = pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
LENGTHS = [17, 40]
NUM_WRITTEN = 64


def born(shape, parametrization, tied):
    kind, changes = SHAPES[shape]
    settings = {
        "width": 48,
        "depth": 3,
        "head_width": 8,
        "key_value_heads": None if kind == "span_denoising" else 2,
        "context_length": 40,
        "tied_embeddings": tied,
        "parametrization": STANDARD if parametrization == "standard" else ALPHAS,
    }
    objective, model = OBJECTIVES[kind](), ModelConfig(**settings | changes)
    network = objective.network(model, VOCABULARY, 320)
    initialize(network, torch.Generator().manual_seed(0))
    return objective, model, network.eval()


@cache
def trained_weights(shape, parametrization, tied):
    """Weights after 20 steps in float64."""
    objective, _, network = born(shape, parametrization, tied)
    network.double()
    rows = torch.randint(len(NAMES), 96, (8, objective.row_length(40)), generator=torch.Generator().manual_seed(1))
    batch = objective.corrupt(rows, VOCABULARY, torch.Generator().manual_seed(2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(20):
        sum(objective.losses(network, batch).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return network.state_dict()


def trained(shape, parametrization, tied, dtype=torch.float32):
    objective, model, network = born(shape, parametrization, tied)
    network.double().load_state_dict(trained_weights(shape, parametrization, tied))
    return objective, model, network.to(dtype)


def folded(objective, model, network):
    architecture = ARCHITECTURES[objective.architecture(model)]()
    return architecture, architecture.stock(network, model, VOCABULARY.size, IDS)


def largest_difference(objective, model, network, tie=1e-5):
    """Return that of the logits, and how many greedy tokens agree: None if nothing is written."""
    architecture, stock = folded(objective, model, network)
    beside = architecture.beside(network, model, VOCABULARY.size, IDS)
    found = [architecture.difference(network, stock, VOCABULARY.size, LENGTHS)]
    if beside:
        found.append(architecture.difference_beside(network, beside, VOCABULARY.size, LENGTHS))
    same = architecture.same_tokens(network, stock, VOCABULARY.size, NUM_WRITTEN, tie)
    assert (same is None) == (architecture.task in ("fill-mask", "token-classification"))
    return max(found, key=lambda each: math.inf if math.isnan(each) else each), same


@every_variant
@every_shape
def test_the_fold_keeps_the_logits_of_random_weights(shape, parametrization, tied):
    difference, same = largest_difference(*born(shape, parametrization, tied))
    assert difference <= 1e-5
    assert same in (NUM_WRITTEN, None)


@every_variant
@every_shape
def test_the_fold_keeps_the_logits_after_training(shape, parametrization, tied):
    difference, same = largest_difference(*trained(shape, parametrization, tied))
    assert difference <= 1e-4
    assert same in (NUM_WRITTEN, None)


@every_variant
@every_shape
def test_the_fold_is_exact_in_float64(shape, parametrization, tied, monkeypatch):
    def norm_without_float32(self, hidden):
        return self.weight * hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.variance_epsilon)

    for each in (EuroBertRMSNorm, modeling_llama.LlamaRMSNorm, MinistralRMSNorm, Qwen3RMSNorm, T5LayerNorm):
        monkeypatch.setattr(each, "forward", norm_without_float32)
    # its own is Llama's between two casts, to float32 and back
    monkeypatch.setattr(modeling_modernbert, "apply_rotary_pos_emb", modeling_llama.apply_rotary_pos_emb)
    parts = trained(shape, parametrization, tied, torch.float64)
    torch.set_default_dtype(torch.float64)
    try:
        difference, same = largest_difference(*parts, tie=1e-9)
    finally:
        torch.set_default_dtype(torch.float32)
    # Both sides take their rotary angles from float32; every other number here is float64.
    assert difference <= 1e-9
    assert same in (NUM_WRITTEN, None)


WRITERS = [shape for shape, (kind, _) in SHAPES.items() if kind in ("causal_lm", "span_denoising")]
READERS = [shape for shape, (kind, _) in SHAPES.items() if kind in ("causal_lm", "masked_lm")]


def texts(*lengths):
    generator = torch.Generator().manual_seed(5)
    return [torch.randint(len(NAMES), 96, (length,), generator=generator) for length in lengths]


@every_variant
@pytest.mark.parametrize("shape", READERS)
@torch.no_grad()
def test_every_document_of_a_packed_row_is_read_as_the_stock_model_reads_it_alone(shape, parametrization, tied):
    objective, model, network = born(shape, parametrization, tied)
    _, stock = folded(objective, model, network)
    documents = texts(19, 4, 12, 5)
    number = torch.cat([torch.full_like(each, index) for index, each in enumerate(documents)])
    packed = network(torch.cat(documents)[None], number[None])[0]
    alone = torch.cat([stock(input_ids=each[None]).logits[0] for each in documents])
    assert (packed - alone).abs().max() <= 1e-5


@every_variant
@pytest.mark.parametrize("shape", WRITERS)
@torch.no_grad()
def test_a_text_is_read_as_the_stock_model_reads_it_token_by_token(shape, parametrization, tied):
    # greedy writing alone may repeat one token, where a wrong place in the cache could not be seen
    objective, model, network = born(shape, parametrization, tied)
    _, stock = folded(objective, model, network)
    source, text = (each[None] for each in texts(23, 40))
    one_model = not stock.config.is_encoder_decoder
    name, given = ("input_ids", {}) if one_model else ("decoder_input_ids", {"input_ids": source})
    cache, theirs = None, []
    for token in text.split(1, dim=1):
        answer = stock(**given, **{name: token}, past_key_values=cache, use_cache=True)
        cache = answer.past_key_values
        theirs.append(answer.logits)
    ours = network(text) if one_model else network(source, text)
    assert (ours - torch.cat(theirs, dim=1)).abs().max() <= 1e-5


@every_variant
@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("shape", READERS)
@torch.no_grad()
def test_a_text_is_read_as_the_stock_model_reads_it_beside_padding(shape, side, parametrization, tied):
    objective, model, network = born(shape, parametrization, tied)
    _, stock = folded(objective, model, network)
    rows = texts(40, 11, 25)
    padded, real = torch.ones(3, 40, dtype=torch.long), torch.zeros(3, 40, dtype=torch.long)
    for index, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(40 - len(row), 40)
        padded[index, place], real[index, place] = row, 1
    theirs = stock(input_ids=padded, attention_mask=real).logits
    for index, row in enumerate(rows):
        assert (network(row[None])[0] - theirs[index][real[index] > 0]).abs().max() <= 1e-5


@every_variant
@pytest.mark.parametrize("shape", ["span_denoising", "span_denoising, GeGLU"])
@torch.no_grad()
def test_a_source_is_read_as_the_stock_model_reads_it_beside_padding(shape, parametrization, tied):
    objective, model, network = born(shape, parametrization, tied)
    _, stock = folded(objective, model, network)
    source, target = texts(23, 9)
    padded = torch.cat((source, torch.ones(17, dtype=torch.long)))[None]
    real = (torch.arange(40) < 23).long()[None]
    theirs = stock(input_ids=padded, attention_mask=real, decoder_input_ids=target[None]).logits
    assert (network(source[None], target[None]) - theirs).abs().max() <= 1e-5
