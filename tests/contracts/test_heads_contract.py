"""What every head must do, on a decoder and on an encoder."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from tiny_models import save_bert, save_labelled, save_llama

from configs.component import members
from lm_modules.data.labelled_examples import read_examples, read_labels
from lm_modules.evaluation.predictions import predict
from lm_modules.heads import Head
from lm_modules.model.stock import open_tokenizer

torch.set_num_threads(1)
FAMILY = members("lm_modules.heads")


@pytest.fixture(params=FAMILY)
def head(request: pytest.FixtureRequest) -> Head:
    return FAMILY[request.param]()


@pytest.fixture(params=[save_llama, save_bert], ids=["llama", "bert"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return request.param(tmp_path / "base")


def test_learns_three_examples_by_heart_and_says_so(head, base, tmp_path):
    data = save_labelled(tmp_path / "data", num_train=3, num_held_out=3)
    examples, labels, tokenizer = read_examples(data, "train"), read_labels(data), open_tokenizer(base, 32)
    torch.manual_seed(0)
    network = head.network(base, labels)
    encoded = [head.encode(each.text, each.label, tokenizer, labels) for each in examples]
    batch = head.collate(encoded, tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    first = head.loss(network, batch).item()
    for _ in range(200):
        loss = head.loss(network.train(), batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < first / 4
    answers = predict(head, network, encoded, tokenizer.pad_token_id)
    assert [each.value for each in answers] == [each.label for each in examples]
    assert all(0.5 < each.probability <= 1 for each in answers)
    assert sum(each.loss for each in answers) / 3 == pytest.approx(head.loss(network.eval(), batch).item(), rel=1e-4)


def test_the_answer_does_not_depend_on_the_padding(head, base):
    torch.manual_seed(0)
    labels, tokenizer = ["a", "b"], open_tokenizer(base, 32)
    network = head.network(base, labels).eval()
    short, long = (head.encode(text, "a", tokenizer, labels) for text in ("a cat", "a much longer text about a cat"))
    alone = head.predict(network, head.collate([short], tokenizer.pad_token_id))[0]
    padded = head.predict(network, head.collate([short, long], tokenizer.pad_token_id))[0]
    assert padded.probability == pytest.approx(alone.probability, abs=1e-6)


def test_long_and_empty_texts_are_encoded_within_the_limit(head, base):
    tokenizer = open_tokenizer(base, 16)
    for text in ("", "word " * 1000, "\N{GRINNING FACE}" * 50):
        assert 1 <= len(head.encode(text, None, tokenizer, ["a"]).token_ids) <= 16


def test_equal_seeds_give_equal_networks(head, base):
    networks = []
    for _ in range(2):
        torch.manual_seed(7)
        networks.append(head.network(base, ["a", "b"], from_random_weights=True))
    for (name, first), second in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(first, second), name


def test_loading_says_nothing(head, base, capfd):
    head.network(base, ["a", "b"])
    assert capfd.readouterr() == ("", "")


def test_survives_json_and_pickle(head):
    assert type(head).model_validate_json(head.model_dump_json()) == head
    assert pickle.loads(pickle.dumps(head)) == head
    assert type(head).__doc__
