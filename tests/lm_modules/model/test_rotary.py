import torch

from lm_modules.model.rotary import Rotary, rotate


def angles(length, width=16, theta=100.0):
    return Rotary(width, theta)(length, torch.device("cpu"), torch.float64)


def test_products_depend_on_the_distance_alone():
    torch.manual_seed(0)
    query, key = torch.randn(16, dtype=torch.float64), torch.randn(16, dtype=torch.float64)
    cosine, sine = angles(12)
    queries, keys = (rotate(each.expand(1, 12, 1, 16), cosine, sine)[0, :, 0] for each in (query, key))
    products = queries @ keys.T
    for distance in range(12):
        diagonal = products.diagonal(-distance)
        # the angles are computed in float32
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)


def test_lengths_stay_and_position_zero_is_left_alone():
    vectors = torch.randn(2, 8, 3, 16, dtype=torch.float64)
    turned = rotate(vectors, *angles(8))
    torch.testing.assert_close(turned.norm(dim=-1), vectors.norm(dim=-1), rtol=1e-6, atol=0)
    torch.testing.assert_close(turned[:, 0], vectors[:, 0])


def test_the_gradient_written_by_hand_is_the_true_one():
    vectors = torch.randn(1, 4, 2, 6, dtype=torch.float64, requires_grad=True)
    cosine, sine = angles(4, width=6)
    assert torch.autograd.gradcheck(lambda each: rotate(each, cosine, sine), (vectors,))
