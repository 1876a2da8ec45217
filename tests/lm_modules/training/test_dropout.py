"""Dropout reaches every architecture in training and none in use."""

from __future__ import annotations

import pytest
import torch
from stock_bases import save_base
from tiny_models import save_bert, save_llama, save_t5

from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.training.dropout import apply_dropout

torch.set_num_threads(1)
TOKENS = torch.arange(2, 34).reshape(4, 8)
TOKENS[:, -1] = 1  # T5's classifier answers from the end token
BASES = {
    "llama": save_llama,
    "bert": save_bert,
    "t5": save_t5,
    "t5 with rates": lambda directory: save_base("t5", directory, dropout_rate=0.2),
}


@pytest.fixture(params=BASES.values(), ids=BASES)
def network(request, tmp_path):
    torch.manual_seed(0)
    return SequenceClassification().network(request.param(tmp_path), ["a", "b"])


def logits(network) -> torch.Tensor:
    with torch.no_grad():
        return network(input_ids=TOKENS, attention_mask=torch.ones_like(TOKENS)).logits


def test_changes_what_training_sees_and_not_what_use_sees(network):
    before = logits(network.eval())
    apply_dropout(network, 0.3)
    assert torch.equal(logits(network.eval()), before)
    assert not torch.equal(logits(network.train()), logits(network.train()))
    torch.manual_seed(5)
    first = logits(network)
    torch.manual_seed(5)
    assert torch.equal(logits(network), first)


def test_a_rate_of_zero_changes_nothing(network):
    before = logits(network.eval())
    apply_dropout(network, 0.0)
    torch.testing.assert_close(logits(network.train()), before, atol=1e-6, rtol=0)
