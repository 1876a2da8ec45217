import math

import torch
from torch import nn
from transformers import EuroBertConfig, EuroBertForMaskedLM

from lm_modules.export.architectures.eurobert import Eurobert
from lm_modules.export.parity import largest


def test_the_largest_difference_is_nan_wherever_one_is():
    for differences in ((0.5, math.nan), (math.nan, 0.5), (math.nan, math.nan)):
        assert math.isnan(largest(*differences))
    assert largest(0.25, 0.5, 0.0) == 0.5


class BrokenBehindPadding(nn.Module):
    """Answers as the stock model does, but for NaN where a row is padded."""

    def __init__(self, stock):
        super().__init__()
        self.stock = stock

    def forward(self, tokens, real=None):
        logits = self.stock(input_ids=tokens, attention_mask=real).logits
        return logits if real is None else logits * float("nan")


def test_an_encoder_that_is_nan_behind_padding_is_not_taken_for_equal():
    torch.manual_seed(0)
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = EuroBertConfig(vocab_size=96, pad_token_id=0, bos_token_id=1, eos_token_id=2, mask_token_id=3, **shape)
    stock = EuroBertForMaskedLM(config).eval()
    assert math.isnan(Eurobert().difference(BrokenBehindPadding(stock), stock, 96, [8, 16]))
