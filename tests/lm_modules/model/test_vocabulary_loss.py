import pytest
import torch
import torch.nn.functional as F

from lm_modules.model.parametrization import MatrixScale
from lm_modules.model.vocabulary_loss import vocabulary_loss

PLAIN = MatrixScale(initial_std=1.0)


@pytest.mark.parametrize("chunk_rows", [1, 7, 64])
def test_chunks_give_the_plain_loss_and_gradients_with_unscored_labels(chunk_rows):
    torch.manual_seed(0)
    hidden = torch.randn(30, 16, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(50, 16, dtype=torch.float64, requires_grad=True)
    labels = torch.randint(0, 50, (30,))
    labels[::3] = -100
    ours = vocabulary_loss(hidden, weight, labels, PLAIN, chunk_rows)
    plain = F.cross_entropy(hidden @ weight.T, labels)
    torch.testing.assert_close(ours, plain, rtol=1e-12, atol=1e-12)
    for one, other in zip(
        torch.autograd.grad(3 * ours, [hidden, weight]), torch.autograd.grad(3 * plain, [hidden, weight]), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-12)


def test_no_scored_label_gives_zero_and_not_nan():
    hidden = torch.randn(4, 8, requires_grad=True)
    loss = vocabulary_loss(hidden, torch.randn(5, 8, requires_grad=True), torch.full((4,), -100), PLAIN)
    loss.backward()
    assert loss.item() == 0
    assert hidden.grad.abs().max() == 0


def test_loss_without_gradient_is_the_same_number():
    hidden, weight, labels = torch.randn(20, 8), torch.randn(11, 8), torch.randint(0, 11, (20,))
    with torch.no_grad():
        assert vocabulary_loss(hidden, weight, labels, PLAIN).item() == pytest.approx(
            F.cross_entropy(hidden @ weight.T, labels).item(), abs=1e-6
        )
