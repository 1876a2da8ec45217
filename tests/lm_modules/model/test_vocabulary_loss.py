import pytest
import torch
import torch.nn.functional as F

from configs.component import members
from configs.compute import ComputeConfig
from configs.model import ModelConfig
from lm_modules.data.tokenizers import SPECIAL, sentinel
from lm_modules.data.vocabulary import Vocabulary
from lm_modules.model.parametrization import MatrixScale
from lm_modules.model.scaled import initialize
from lm_modules.model.vocabulary_loss import set_chunk_rows, vocabulary_loss

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


@pytest.mark.parametrize("chunk_rows", [1, 3, 100, 1024])
def test_in_float32_any_chunk_gives_the_plain_loss_to_a_millionth(chunk_rows):
    torch.manual_seed(0)
    hidden, weight = torch.randn(200, 32, requires_grad=True), torch.randn(300, 32, requires_grad=True)
    labels = torch.randint(0, 300, (200,))
    ours = vocabulary_loss(hidden, weight, labels, MatrixScale(1.0, 0.1, 0.1, 0.1), chunk_rows)
    plain = F.cross_entropy(0.1 * hidden @ weight.T, labels)
    assert ours.item() == pytest.approx(plain.item(), abs=1e-6)
    for one, other in zip(
        torch.autograd.grad(ours, [hidden, weight]), torch.autograd.grad(plain, [hidden, weight]), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", members("lm_modules.objectives"))
def test_every_objective_obeys_the_setting_and_loses_the_same(kind, monkeypatch):
    names = (*SPECIAL, *(sentinel(number) for number in range(8)))
    vocabulary = Vocabulary(64, 0, tuple((name, index) for index, name in enumerate(names)))
    objective = members("lm_modules.objectives")[kind]()
    model = ModelConfig(width=32, depth=1, head_width=16, context_length=32)
    network = objective.network(model, vocabulary, 256)
    initialize(network, torch.Generator().manual_seed(0))
    tokens = torch.randint(len(names), 64, (8, objective.row_length(32)), generator=torch.Generator().manual_seed(1))
    batch = objective.corrupt(tokens, vocabulary, torch.Generator().manual_seed(2))
    rows, softmax = [], torch.log_softmax
    monkeypatch.setattr(torch, "log_softmax", lambda logits, dim: rows.append(len(logits)) or softmax(logits, dim=dim))

    def measured():
        rows.clear()
        losses = objective.losses(network, batch)
        gradients = torch.autograd.grad(sum(losses.values()), list(network.parameters()), allow_unused=True)
        return losses, gradients, max(rows)

    (whole, whole_gradients, most) = measured()
    assert 5 < most <= ComputeConfig().loss_chunk_rows
    set_chunk_rows(network, 5)
    chunked, gradients, most = measured()
    assert most == 5
    for name, loss in chunked.items():
        assert loss.item() == pytest.approx(whole[name].item(), abs=1e-6)
    for one, other in zip(gradients, whole_gradients, strict=True):
        if other is not None:
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)
