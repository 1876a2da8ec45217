"""The stated operations of every objective against those that torch counts while the real network trains."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from configs.component import members
from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.cost import attention_flops
from lm_modules.model.scaled import initialize
from lm_modules.objectives.masked_lm import MaskedLm

NAMES = (*SPECIAL, *(sentinel(number) for number in range(32)))
VOCABULARY = Vocabulary(size=512, end_of_text_id=0, special=tuple((name, index) for index, name in enumerate(NAMES)))
ROWS, LENGTH = 64, 64


def skipped_by_causality(kind, model):
    """Return what torch counts of a row though no position reads ahead: its plain attention multiplies all pairs."""
    from lm_modules.objectives.span_denoising import SpanDenoising

    objective = SpanDenoising()
    target = objective._target_length(objective.row_length(LENGTH))
    length = {"causal_lm": LENGTH, "mixture": LENGTH, "span_denoising": target}.get(kind, 0)
    return attention_flops(model, length, causal=True)


@pytest.mark.parametrize("heads", [{}, {"key_value_heads": 2}])
@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_a_row_costs_what_torch_counts(kind, heads):
    objective = members("lm_modules.objectives")[kind]()
    model = ModelConfig(width=64, depth=2, head_width=16, context_length=LENGTH, **heads)
    network = objective.network(model, VOCABULARY, ROWS * LENGTH)
    initialize(network, torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(len(NAMES), VOCABULARY.size, (ROWS, objective.row_length(LENGTH)), generator=generator)
    batch = objective.corrupt(text, VOCABULARY, generator)
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        sum(objective.losses(network, batch).values()).backward()
    counted = counter.get_total_flops() / ROWS - skipped_by_causality(kind, model)
    # which tokens are hidden is drawn, so the number that is read out is known only nearly
    assert objective.training_flops(model, VOCABULARY.size) == pytest.approx(counted, rel=5e-3)


def test_modernbert_has_one_matrix_more_before_its_readout():
    plain, modernbert = (
        MaskedLm().training_flops(
            ModelConfig(width=64, depth=2, head_width=16, context_length=LENGTH, encoder=kind), 512
        )
        for kind in ("eurobert", "modernbert")
    )
    assert modernbert - plain == pytest.approx(6 * 64 * 64 * 0.15 * LENGTH)


@pytest.mark.parametrize("window", [4, 6, LENGTH, 4 * LENGTH])
@pytest.mark.parametrize("causal", [True, False])
def test_a_local_layer_reads_a_window(window, causal):
    whole = ModelConfig(width=64, depth=2, head_width=16, context_length=LENGTH)
    local = ModelConfig.model_validate(whole.model_dump() | {"sliding_window": window, "global_every": 2})
    assert [local.is_local(layer) for layer in range(2)] == [False, True]
    distance = torch.arange(LENGTH)[:, None] - torch.arange(LENGTH)
    read = (distance >= 0) & (distance < window) if causal else distance.abs() <= window // 2
    pairs = (attention_flops(local, LENGTH, causal=causal) - attention_flops(whole, LENGTH, causal=causal) / 2) / (
        12 * 64
    )
    # half of what lies on the diagonal is left out when causality is said to leave half
    assert pairs == pytest.approx(read.sum().item(), abs=LENGTH / 2 if causal else 0)
