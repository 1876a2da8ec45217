import pytest
import torch
import torch.nn.functional as F

from lm_modules.model.short_attention import LARGEST_BLOCK, NUMBERS_AT_ONCE, SMALLEST_BLOCK, short_attention


def masks(kind, rows, heads, length):
    generator = torch.Generator().manual_seed(1)
    if kind == "documents":
        numbers = torch.tensor([0] * (length // 3) + [1] * (length - length // 3)).expand(rows, -1)
        return (numbers[:, :, None] == numbers[:, None, :])[:, None]
    if kind == "bias":
        return torch.randn(1, heads, length, length, generator=generator)
    return None


@pytest.mark.parametrize("kind", ["none", "causal", "documents", "bias"])
@pytest.mark.parametrize("groups", [4, 2])
@pytest.mark.parametrize(("rows", "length"), [(5, 48), (5, 200), (9, 201)])
def test_values_and_gradients_are_those_of_attention_in_float64(kind, groups, rows, length):
    heads = 4
    block = min(max(length // 2, SMALLEST_BLOCK), LARGEST_BLOCK, length) if kind == "causal" else length
    if rows == 9:  # more than one round of rows, each of more than one block where the text is causal
        assert rows * heads * block * length > NUMBERS_AT_ONCE
        assert block < length or kind != "causal"
    generator = torch.Generator().manual_seed(0)
    shapes = [(rows, length, each, 16) for each in (heads, groups, groups)]
    vectors = [torch.randn(shape, generator=generator).bfloat16() for shape in shapes]
    upstream = torch.randn(rows, heads, length, 16, generator=generator).bfloat16()
    mask, found = masks(kind, rows, heads, length), {}
    for dtype in (torch.bfloat16, torch.float64):
        inputs = [each.to(dtype).requires_grad_() for each in vectors]
        if kind == "bias":
            inputs.append(mask.to(dtype).requires_grad_())
        given = inputs[3] if kind == "bias" else mask
        query, key, value = (each.transpose(1, 2) for each in inputs[:3])
        if dtype == torch.float64:
            output = F.scaled_dot_product_attention(
                query, key, value, attn_mask=given, is_causal=kind == "causal", scale=0.3, enable_gqa=True
            )
        else:
            output = short_attention(query, key, value, given, kind == "causal", 0.3)
        found[dtype] = [output.detach(), *torch.autograd.grad(output, inputs, upstream.to(dtype))]
    for ours, exact in zip(found[torch.bfloat16], found[torch.float64], strict=True):
        assert (ours.double() - exact).norm() <= 0.01 * exact.norm()


def test_it_is_an_operation_that_compilers_can_take():
    shapes = [(2, 4, 24, 16), (2, 2, 24, 16), (2, 2, 24, 16)]
    upstream, *inputs = (torch.randn(shape, dtype=torch.bfloat16) for shape in (shapes[0], *shapes))
    mask = torch.randn(1, 4, 24, 24, dtype=torch.bfloat16)
    torch.library.opcheck(
        torch.ops.rootstock.short_attention_backward.default,
        (upstream, *inputs, mask, False, 0.3, True),
        test_utils=("test_schema", "test_faketensor"),
    )


def test_the_gradient_of_a_bias_that_many_rows_share_is_nearly_as_exact_as_torchs():
    rows, heads, length = 256, 4, 128
    generator = torch.Generator().manual_seed(0)
    shape = (heads, length, 16)
    upstream, query, key, value = (torch.randn(rows, *shape, generator=generator) for _ in range(4))
    upstream, value = (each + torch.randn(shape, generator=generator) for each in (upstream, value))
    vectors = [
        each.bfloat16() for each in (upstream, query, key, value)
    ]  # rows have something in common, as texts have
    bias = masks("bias", rows, heads, length).bfloat16()

    def gradient(attend, dtype):
        learnt = bias.to(dtype).requires_grad_()
        upstream, *inputs = (each.to(dtype) for each in vectors)
        (found,) = torch.autograd.grad(attend(*inputs, learnt), learnt, upstream)
        return found.double()

    def of_torch(query, key, value, mask):
        return F.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.3)

    exact = gradient(of_torch, torch.float64)
    ours = gradient(lambda *inputs: short_attention(*inputs, False, 0.3), torch.bfloat16)
    assert (ours - exact).norm() <= 0.004 * exact.norm()


@pytest.mark.parametrize("kind", ["boolean", "learned"])
def test_a_position_that_may_read_nothing_has_no_gradient_as_with_torch(kind):
    shapes = [(3, 24, each, 16) for each in (4, 4, 2, 2)]
    allowed = torch.ones(3, 1, 24, 24, dtype=torch.bool).tril()
    allowed[1, :, 5], allowed[2, :, :, 20:] = False, False
    found = []
    for attend in (short_attention, None):
        generator = torch.Generator().manual_seed(0)
        upstream, *inputs = (torch.randn(each, generator=generator).bfloat16().transpose(1, 2) for each in shapes)
        learnt = torch.zeros(allowed.shape, dtype=torch.bfloat16).masked_fill_(~allowed, float("-inf"))
        inputs = [each.requires_grad_() for each in (*inputs, *([learnt] if kind == "learned" else []))]
        mask = learnt if kind == "learned" else allowed
        if attend is None:
            output = F.scaled_dot_product_attention(*inputs[:3], attn_mask=mask, scale=0.3, enable_gqa=True)
        else:
            output = attend(*inputs[:3], mask, False, 0.3)
        found.append(torch.autograd.grad(output, inputs, upstream))
    assert not found[0][0][1, :, 5].any()
    for ours, theirs in zip(*found, strict=True):
        assert torch.isfinite(theirs).all()
        assert (ours - theirs).float().norm() <= 0.02 * theirs.float().norm()
