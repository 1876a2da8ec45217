"""Who reads whom: windows, documents and padding together, as a mask and block by block."""

import pytest
import torch
from torch.nn.attention import flex_attention as torchs

from configs.model import ModelConfig
from lm_modules.model import reach as reaching
from lm_modules.model.modernbert import build_modernbert
from lm_modules.model.reach import Reach, reaches
from lm_modules.model.rotary import Rotary
from lm_modules.model.scaled import initialize
from lm_modules.model.transformer import build_transformer

DOCUMENTS = torch.tensor([[0] * 3 + [1] * 5 + [2] * 4, [0] * 12])


def allowed(reach, documents=None):
    return reach.reading(torch.zeros(2, 12, 8), documents).allowed


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("distance", [None, 2])
@pytest.mark.parametrize("documents", [None, DOCUMENTS])
def test_a_position_reads_what_is_near_in_order_and_of_its_document(causal, distance, documents):
    mask = allowed(Reach(Rotary(8, 100.0), causal, distance), documents)
    if distance is None and documents is None:
        assert mask is None
        return
    for row in range(2):
        for reader in range(12):
            for read in range(12):
                expected = (
                    (not causal or read <= reader)
                    and (distance is None or abs(reader - read) <= distance)
                    and (documents is None or documents[row, reader] == documents[row, read])
                )
                assert mask[row % len(mask), 0, reader, read] == expected


def test_every_third_layer_from_the_first_reads_everything():
    shape = {"width": 32, "head_width": 8, "depth": 7, "sliding_window": 6}
    model = ModelConfig(**shape, local_rope_theta=50.0)
    assert [each.distance for each in reaches(model, causal=False)] == [None, 3, 3, None, 3, 3, None]
    assert [each.distance for each in reaches(model, causal=True)] == [None, 5, 5, None, 5, 5, None]
    assert [each.rotary.theta for each in reaches(model, causal=False)][:2] == [10_000.0, 50.0]
    assert len(set(reaches(model, causal=True))) == 2


def build(causal):
    model = ModelConfig(
        width=64,
        depth=3,
        head_width=16,
        key_value_heads=2 if causal else None,
        context_length=200,
        sliding_window=20,
        global_every=2,
        activation="gelu",
    )
    scales = model.parametrization.scales(model, 50, 400, causal=causal)
    network = build_transformer(model, 50, scales, causal=True) if causal else build_modernbert(model, 50, scales)
    initialize(network, torch.Generator().manual_seed(0))
    return network


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("causal", [True, False])
def test_block_by_block_gives_the_values_and_gradients_of_the_whole_mask(causal, isolated, monkeypatch):
    network = build(causal)
    tokens = torch.randint(0, 50, (2, 200), generator=torch.Generator().manual_seed(1))
    documents = (tokens == 0).cumsum(dim=1) if isolated else None
    whole = network.nats(tokens, tokens, documents)
    whole_gradients = torch.autograd.grad(whole, list(network.parameters()))
    used = []
    monkeypatch.setattr(reaching, "has_block_kernel", lambda device, head_width: used.append(1) or True)
    # torch refuses gradients on a CPU because its compiled kernel has none there; the plain one behind it has
    monkeypatch.setattr(torchs, "_validate_device", lambda query, key, value: None)
    monkeypatch.setattr(torchs, "_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG", True)
    blocks = network.nats(tokens, tokens, documents)
    assert used
    torch.testing.assert_close(blocks, whole, rtol=1e-6, atol=1e-6)
    for one, other in zip(torch.autograd.grad(blocks, list(network.parameters())), whole_gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5 * other.abs().max().item())
