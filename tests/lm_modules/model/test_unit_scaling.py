"""Our scaled operations against the unit-scaling library, and the claim that all begins at unit scale."""

import math

import pytest
import torch
import unit_scaling as uu
import unit_scaling.functional as U
from torch import Tensor
from unit_scaling.core.functional import transformer_residual_scaling_rule
from unit_scaling.optim import lr_scale_func_adam
from unit_scaling.scale import scale_fwd

from configs.model import ModelConfig
from lm_modules.model.attention import Attention, Reading
from lm_modules.model.feed_forward import ACTIVATIONS, FeedForward
from lm_modules.model.modernbert import build_modernbert
from lm_modules.model.normalization import RMSNorm
from lm_modules.model.rotary import Rotary, rotate
from lm_modules.model.scaled import ScaledEmbedding, initialize, scaled_linear, scales_of
from lm_modules.model.transformer import build_transformer, matrix_of
from lm_modules.model.vocabulary_loss import vocabulary_loss

ALPHAS = {
    "alpha_feed_forward_activation": 1.3,
    "alpha_attention_softmax": 0.7,
    "alpha_residual": 1.4,
    "alpha_residual_attention_ratio": 0.8,
    "alpha_loss_softmax": 1.2,
}


def config(**parametrization: float) -> ModelConfig:
    return ModelConfig(
        width=64,
        depth=3,
        head_width=16,
        context_length=32,
        norm_epsilon=1e-12,
        parametrization={"kind": "u_mup", **parametrization},
    )


def gradients(output: Tensor, inputs: list[Tensor], upstream: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(output, inputs, upstream))


def assert_same(ours: list[Tensor], theirs: list[Tensor]) -> None:
    for each, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-5, atol=1e-5)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def test_linear_is_the_librarys():
    model, num_tokens = config(), 4 * 32
    scale = model.parametrization.scales(model, 100, num_tokens).matrices["output"]
    x, w = torch.randn(4, 32, 64, requires_grad=True), torch.randn(64, 64, requires_grad=True)
    upstream = torch.randn(4, 32, 64)
    ours, theirs = scaled_linear(x, w, scale), U.linear(x, w, None, constraint=None)
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(ours, [x, w], upstream), gradients(theirs, [x, w], upstream))


def test_embedding_is_the_librarys():
    model = config()
    scale = model.parametrization.scales(model, 100, 4 * 32).matrices["embedding"]
    embedding = ScaledEmbedding(100, 64, scale)
    torch.nn.init.normal_(embedding.weight)
    tokens, upstream = torch.randint(0, 100, (4, 32)), torch.randn(4, 32, 64)
    ours, theirs = embedding(tokens), U.embedding(tokens, embedding.weight)
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(ours, [embedding.weight], upstream), gradients(theirs, [embedding.weight], upstream))


def test_norm_is_the_librarys():
    x, upstream = (3 * torch.randn(4, 32, 64)).requires_grad_(), torch.randn(4, 32, 64)
    ours, theirs = RMSNorm(1e-5)(x), U.rms_norm(x, (64,), eps=1e-5)
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(ours, [x], upstream), gradients(theirs, [x], upstream))


class Times(torch.nn.Module):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return self.factor * x


def test_feed_forward_is_the_librarys_gated_silu():
    model = config(**ALPHAS)
    scales = model.parametrization.scales(model, 100, 128)
    part = FeedForward(
        gate=torch.nn.Identity(),
        up=torch.nn.Identity(),
        down=Times(scales.gated / scales.gate),  # in the model a part of the weight's constants
        gate_scale=scales.gate,
    )
    x, upstream = torch.randn(4, 32, 64, requires_grad=True), torch.randn(4, 32, 64)
    ours, theirs = part(x), U.silu_glu(x, x, mult=1.3)
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(ours, [x], upstream), gradients(theirs, [x], upstream))


def test_attention_is_the_librarys_at_the_configured_length():
    model = config(**ALPHAS)
    scales = model.parametrization.scales(model, 100, 128)
    identity = torch.nn.Identity()
    part = Attention(
        query=identity,
        key=identity,
        value=identity,
        output=Times(scales.attention_mix),  # in the model a part of the weight's constants
        head_width=16,
        logits_scale=scales.attention_logits,
    )
    x, upstream = torch.randn(4, 32, 64, requires_grad=True), torch.randn(4, 32, 64)
    heads = x.unflatten(-1, (4, 16)).transpose(1, 2)
    theirs = U.scaled_dot_product_attention(heads, heads, heads, is_causal=True, mult=0.7).transpose(1, 2).flatten(2)
    ours = part(x, Reading(causal=True))
    torch.testing.assert_close(ours, theirs)
    assert_same(gradients(ours, [x], upstream), gradients(theirs, [x], upstream))


@pytest.mark.parametrize("alpha", [0.4, 1.0, 1.2])
def test_readout_and_loss_are_the_librarys(alpha):
    model, vocab_size, num_tokens = config(alpha_loss_softmax=alpha), 100, 128
    scales = model.parametrization.scales(model, vocab_size, num_tokens)
    x, w = torch.randn(num_tokens, 64, requires_grad=True), torch.randn(vocab_size, 64, requires_grad=True)
    labels = torch.randint(0, vocab_size, (num_tokens,))
    ours = vocabulary_loss(x, w, labels, scales.matrices["readout"], chunk_rows=48)
    theirs = U.cross_entropy(U.linear_readout(x, w, None, constraint=None), labels, mult=alpha)
    torch.testing.assert_close(ours, theirs)
    factor = model.parametrization.scaling(vocab_size, num_tokens).loss_gradient
    ours_x, ours_w = torch.autograd.grad(ours * factor, [x, w])
    theirs_x, theirs_w = torch.autograd.grad(theirs, [x, w])
    assert_same([ours_x, ours_w], [theirs_x, theirs_w])


def library_tau(model: ModelConfig):
    """The paper's weight of the branch with this index, of two a layer."""
    rule = transformer_residual_scaling_rule(
        model.parametrization.alpha_residual, ALPHAS["alpha_residual_attention_ratio"]
    )
    return lambda index: rule(index, 2 * model.depth)


def library_decoder(network, model: ModelConfig, tokens: Tensor) -> Tensor:
    """The same weights through the library's operations, residual stream normalised as in the paper."""
    tau = library_tau(model)
    cosine, sine = Rotary(model.head_width, model.rope_theta)(tokens.shape[1], tokens.device, torch.float32)
    x, index = U.embedding(tokens, network.embedding.weight), 0

    def normed(value):
        return U.rms_norm(value, (model.width,), eps=1e-12)

    for layer in network.layers:
        part = layer.attention
        branch, skip = U.residual_split(x, tau(index))
        q, k, v = (
            U.linear(normed(branch), each.weight, None).unflatten(-1, (-1, model.head_width))
            for each in (part.query, part.key, part.value)
        )
        heads = (each.transpose(1, 2) for each in (rotate(q, cosine, sine), rotate(k, cosine, sine), v))
        mixed = U.scaled_dot_product_attention(*heads, is_causal=True, mult=ALPHAS["alpha_attention_softmax"])
        branch = U.linear(mixed.transpose(1, 2).flatten(2), part.output.weight, None)
        x, index = U.residual_add(branch, skip, tau(index)), index + 1
        part = layer.feed_forward
        branch, skip = U.residual_split(x, tau(index))
        gate, up = (U.linear(normed(branch), each.weight, None) for each in (part.gate, part.up))
        gated = U.silu_glu(up, gate, mult=ALPHAS["alpha_feed_forward_activation"])
        x = U.residual_add(U.linear(gated, part.down.weight, None), skip, tau(index))
        index += 1
    return U.linear_readout(normed(x), network.readout.weight, None)


@pytest.fixture
def decoder():
    """A decoder with all alphas off 1, its shape and rows of tokens; the loss's is in its readout."""
    model = config(**ALPHAS)
    network = build_transformer(model, 100, model.parametrization.scales(model, 100, 128), causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    return network, model, torch.randint(0, 100, (4, 32))


def assert_same_gradients(network, model, ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Compare the gradients of all weights, each within 1e-5 of its largest entry."""
    names = [name for name, _ in network.named_parameters()]
    assert len(names) == 2 + 7 * model.depth
    for name, one, other in zip(names, ours, theirs, strict=True):
        expected = other * stream_constant(name, library_tau(model))
        torch.testing.assert_close(one, expected, rtol=0, atol=1e-5 * expected.abs().max().item(), msg=name)


def test_whole_decoder_is_the_librarys(decoder):
    network, model, tokens = decoder
    # the library's loss multiplies the logits so, forward only; ours have it in their readout
    ours, theirs = network(tokens), scale_fwd(library_decoder(network, model, tokens), ALPHAS["alpha_loss_softmax"])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    upstream, weights = torch.randn(ours.shape), list(network.parameters())
    assert_same_gradients(network, model, gradients(ours, weights, upstream), gradients(theirs, weights, upstream))


def test_whole_decoder_with_its_loss_is_the_librarys(decoder):
    network, model, tokens = decoder
    labels, weights = torch.randint(0, 100, (4, 32)), list(network.parameters())
    ours = network.nats(tokens, labels)
    logits = library_decoder(network, model, tokens).flatten(0, 1)
    theirs = U.cross_entropy(logits, labels.flatten(), mult=ALPHAS["alpha_loss_softmax"])
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)
    factor = model.parametrization.scaling(100, 128).loss_gradient
    assert_same_gradients(
        network, model, list(torch.autograd.grad(ours * factor, weights)), list(torch.autograd.grad(theirs, weights))
    )


def test_learning_rates_are_multiplied_as_the_librarys(decoder):
    network, model, _ = decoder
    for name, scale in scales_of(network).items():
        weight = uu.Parameter(network.get_parameter(name).detach(), "output" if name == "readout.weight" else "weight")
        weight.mup_scaling_depth = model.depth if name.startswith("layers.") else None
        assert scale.learning_rate == pytest.approx(lr_scale_func_adam(weight)), name


def stream_constant(name: str, tau) -> float:
    """What our gradient of a weight is multiplied by against the library's.

    The paper's stream is ours times c_i, the product of 1 / sqrt(1 + tau^2) over the branches before; a branch reads
    its gradient from the stream behind it, where the paper's is 1 / c_(i+1) times ours.
    """
    if not name.startswith("layers."):
        return 1.0
    _, layer, part, *_ = name.split(".")
    index = 2 * int(layer) + (part == "feed_forward")
    return math.prod((1 + tau(each) ** 2) ** -0.5 for each in range(index + 1))


@pytest.mark.parametrize("alpha", [0.1, 0.5, 1.0, 1.3, 4.0, 30.0])
@pytest.mark.parametrize(("activation", "tolerance"), [("gelu", 1e-3), ("silu", 0.03)])
def test_what_a_gate_lets_through_has_unit_scale(activation, tolerance, alpha):
    model = ModelConfig(
        activation=activation, parametrization={"kind": "u_mup", "alpha_feed_forward_activation": alpha}
    )
    scales = model.parametrization.scales(model, 100, 128)
    gate = torch.linspace(-12, 12, 24_001, dtype=torch.float64)
    density = torch.exp(-gate.square() / 2) / math.sqrt(2 * math.pi)
    passed = ACTIVATIONS[activation](scales.gate * gate) * scales.gated / scales.gate
    # `up` is normal and independent, so it multiplies the mean square by 1
    assert torch.trapezoid(density * passed.square(), gate).sqrt().item() == pytest.approx(1, abs=tolerance)


@pytest.mark.parametrize("window", [None, 4, 32, 500])
@pytest.mark.parametrize("causal", [True, False])
def test_flat_attention_over_a_window_has_unit_scale(causal, window):
    model = ModelConfig(
        context_length=512,
        sliding_window=window,
        parametrization={"kind": "u_mup", "alpha_attention_softmax": 1e-3},
    )
    scales = model.parametrization.scales(model, 100, 512, causal=causal)
    distance = torch.arange(512)[:, None] - torch.arange(512)[None]
    width = window or 512
    if causal:
        read = (distance >= 0) & (distance < width)
    else:
        read = torch.ones_like(distance, dtype=torch.bool) if window is None else distance.abs() <= width // 2
    mean_square = (1 / read.sum(1)).mean().item()
    # the paper takes ln n for the sum of 1 / i, and at the two ends of an encoder's row a window is cut
    assert mean_square**0.5 * scales.local_attention_mix == pytest.approx(1, abs=0.05 if causal else 0.18)
    if window is None:
        assert scales.local_attention_mix == scales.attention_mix


def test_modernbert_begins_at_unit_scale():
    model = ModelConfig(
        width=128,
        depth=4,
        head_width=32,
        context_length=128,
        activation="gelu",
        encoder="modernbert",
        sliding_window=16,
    )
    batch_tokens, vocab_size = 8 * 128, 512
    scales = model.parametrization.scales(model, vocab_size, batch_tokens, causal=False)
    network = build_modernbert(model, vocab_size, scales)
    initialize(network, torch.Generator().manual_seed(0))
    rms = {}
    for name, module in network.named_modules():
        if name.endswith(("norm", "query", "key", "value", "gate", "up", "transform")):
            module.register_forward_hook(
                lambda module, inputs, output, name=name: rms.__setitem__(name, output.square().mean().sqrt().item())
            )
    tokens = torch.randint(0, vocab_size, (8, 128))
    loss = network.nats(tokens, torch.randint(0, vocab_size, (8, 128)))
    (loss * model.parametrization.scaling(vocab_size, batch_tokens).loss_gradient).backward()
    assert len(rms) == 1 + 4 * (5 + 2) + 3
    rms |= {name: parameter.grad.square().mean().sqrt().item() for name, parameter in network.named_parameters()}
    small = {name for name in rms if name.endswith(("query.weight", "key.weight"))}
    assert not {name: value for name, value in rms.items() if not (0.02 if name in small else 0.1) < value < 10}


@pytest.mark.parametrize("width", [64, 256])
def test_activations_and_gradients_begin_at_unit_scale(width):
    model = ModelConfig(width=width, depth=4, head_width=32, context_length=128)
    batch_tokens, vocab_size = 8 * 128, 512
    scales = model.parametrization.scales(model, vocab_size, batch_tokens)
    network = build_transformer(model, vocab_size, scales, causal=True)
    initialize(network, torch.Generator().manual_seed(0))
    rms = {}

    def watch(name):
        return lambda module, inputs, output: rms.__setitem__(name, output.detach().square().mean().sqrt().item())

    for name, module in network.named_modules():
        if name.endswith((*scales.matrices, "norm")) and matrix_of(f"{name}.weight") not in ("output", "down"):
            module.register_forward_hook(watch(name))
    tokens = torch.randint(0, vocab_size, (8, 129))
    hidden = network.hidden(tokens[:, :-1]).flatten(0, 1)
    loss = vocabulary_loss(hidden, network.readout_weight, tokens[:, 1:].flatten(), network.readout_scale)
    (loss * model.parametrization.scaling(vocab_size, batch_tokens).loss_gradient).backward()
    assert len(rms) == 1 + 4 * (5 + 2) + 1
    rms |= {name: parameter.grad.square().mean().sqrt().item() for name, parameter in network.named_parameters()}
    # Flat attention hardly depends on its logits, so queries and keys begin with small gradients, in the paper as well.
    small = {name for name in rms if name.endswith(("query.weight", "key.weight"))}
    assert not {name: value for name, value in rms.items() if not (0.02 if name in small else 0.1) < value < 10}


def test_learning_rates_fall_with_width_and_depth_as_the_paper_says():
    narrow, wide = config(), ModelConfig(width=256, depth=12, head_width=16)
    tables = [each.parametrization.scales(each, 100, 128).matrices for each in (narrow, wide)]
    ratios = {name: tables[0][name].learning_rate / tables[1][name].learning_rate for name in tables[0]}
    assert ratios["query"] == pytest.approx(math.sqrt(4 * 4))
    assert ratios["embedding"] == pytest.approx(2)
    assert ratios["readout"] == 1
