"""Every objective's network, trained a little, against the stock architecture that it is folded into."""

import math

import pytest
import torch
from transformers.models.eurobert.modeling_eurobert import EuroBertRMSNorm
from transformers.models.llama.modeling_llama import LlamaRMSNorm
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
ALPHAS = {
    "kind": "u_mup",
    "alpha_feed_forward_activation": 1.3,
    "alpha_attention_softmax": 0.7,
    "alpha_residual": 1.4,
    "alpha_residual_attention_ratio": 0.8,
    "alpha_loss_softmax": 1.2,
}
KINDS = [(kind, False) for kind in OBJECTIVES] + [("causal_lm", True)]
VARIANTS = [(parametrization, tied) for parametrization in ("standard", ALPHAS) for tied in (False, True)]


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def trained(kind, query_key_norm, parametrization, tied, dtype=torch.float32):
    objective = OBJECTIVES[kind]()
    model = ModelConfig(
        width=48,
        depth=3,
        head_width=8,
        key_value_heads=None if kind == "span_denoising" else 2,
        context_length=40,
        tied_embeddings=tied,
        query_key_norm=query_key_norm,
        parametrization=parametrization,
    )
    network = objective.network(model, VOCABULARY, 320)
    initialize(network, torch.Generator().manual_seed(0))
    network.to(dtype)
    rows = torch.randint(len(NAMES), 96, (8, objective.row_length(40)), generator=torch.Generator().manual_seed(1))
    batch = objective.corrupt(rows, VOCABULARY, torch.Generator().manual_seed(2))
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.02)
    for _ in range(12):
        sum(objective.losses(network, batch).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
    return objective, model, network.eval()


def largest_difference(objective, model, network, dtype=torch.float32):
    architecture = ARCHITECTURES[objective.architecture(model)]()
    stock = architecture.stock(network, model, VOCABULARY.size, IDS).to(dtype)
    beside = architecture.beside(network, model, VOCABULARY.size, IDS)
    for folder, each in beside.items():
        beside[folder] = each.to(dtype)
    found = [architecture.difference(network, stock, VOCABULARY.size, [17, 40])]
    if beside:
        found.append(architecture.difference_beside(network, beside, VOCABULARY.size, [17, 40]))
    same = architecture.same_tokens(network, stock, VOCABULARY.size, 30, 1e-4)
    return max(found, key=lambda each: math.inf if math.isnan(each) else each), same


@pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
@pytest.mark.parametrize(("kind", "query_key_norm"), KINDS)
def test_the_fold_keeps_the_logits_in_float32(kind, query_key_norm, parametrization, tied):
    difference, same = largest_difference(*trained(kind, query_key_norm, parametrization, tied))
    assert difference <= 1e-4
    assert same == 30


@pytest.mark.parametrize(("parametrization", "tied"), VARIANTS)
@pytest.mark.parametrize(("kind", "query_key_norm"), KINDS)
def test_the_fold_is_exact_in_float64(kind, query_key_norm, parametrization, tied, monkeypatch):
    def norm_without_float32(self, hidden):
        return self.weight * hidden * torch.rsqrt(hidden.square().mean(-1, keepdim=True) + self.variance_epsilon)

    for each in (EuroBertRMSNorm, LlamaRMSNorm, Qwen3RMSNorm, T5LayerNorm):
        monkeypatch.setattr(each, "forward", norm_without_float32)
    torch.set_default_dtype(torch.float64)
    try:
        parts = trained(kind, query_key_norm, parametrization, tied, torch.float64)
        difference, _ = largest_difference(*parts, torch.float64)
    finally:
        torch.set_default_dtype(torch.float32)
    # Both sides take their rotary angles from float32; every other number here is float64.
    assert difference <= 1e-9
