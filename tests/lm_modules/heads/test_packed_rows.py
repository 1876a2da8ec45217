"""Conversations in one row do not read each other, and are learned as if each had a row of its own."""

from __future__ import annotations

import random

import pytest
import torch
from tiny_models import save_llama
from transformers import (
    AutoModelForCausalLM,
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from lm_modules.heads._packed_rows import NO_TARGET, batch_of, require_texts_kept_apart, rows_of
from lm_modules.heads.chat import Chat
from lm_modules.model.stock import open_tokenizer

torch.set_num_threads(1)
SMALL = {"vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
FLAT = {"intermediate_size": 64, "num_key_value_heads": 1, "head_dim": 16}
NETWORKS = {
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=32, n_layer=2, n_head=2, n_positions=64)),
    "mistral_sliding": lambda: MistralForCausalLM(MistralConfig(**SMALL, **FLAT, sliding_window=4)),
    "qwen3_eager": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, **FLAT, attn_implementation="eager")),
    "llama": lambda: None,
}


def texts(count: int, longest: int, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    """Return texts whose second half is to be learned."""
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        tokens = [generator.randrange(2, 60) for _ in range(generator.randint(2, longest))]
        half = len(tokens) // 2
        found.append((tokens, [NO_TARGET] * half + tokens[half:]))
    return found


@pytest.mark.parametrize("name", NETWORKS)
def test_loss_and_gradients_of_packed_rows_are_those_of_the_texts_alone(name, tmp_path):
    torch.manual_seed(0)
    network = NETWORKS[name]() or AutoModelForCausalLM.from_pretrained(save_llama(tmp_path / "base"))
    network.eval()  # without dropout
    require_texts_kept_apart(network)
    said, head = texts(12, 20), Chat()
    batch = batch_of(said, 1, packed=True)
    assert len(batch["input_ids"]) < len(said)
    packed = head.loss(network, batch)
    packed.backward()
    gradients = {key: each.grad.clone() for key, each in network.named_parameters() if each.grad is not None}
    network.zero_grad()
    num_targets = sum(target != NO_TARGET for _, targets in said for target in targets)
    mean = 0.0
    for tokens, targets in said:
        row = torch.tensor([tokens]), torch.tensor([targets])
        number = int((row[1] != NO_TARGET).sum())
        # the loss as `transformers` computes it, of one text without padding
        loss = network(input_ids=row[0], labels=row[1]).loss * number / num_targets
        loss.backward()
        mean += loss.item()
    assert packed.item() == pytest.approx(mean, abs=1e-5)
    for key, each in network.named_parameters():
        if each.grad is not None:
            torch.testing.assert_close(gradients[key], each.grad, rtol=1e-4, atol=1e-5)


def test_a_text_does_not_change_when_its_neighbours_do(tmp_path):
    network = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path / "base")).eval()
    said = texts(6, 12)
    other = [said[0], *[([token // 2 + 3 for token in tokens], targets) for tokens, targets in said[1:]]]
    first, second = (Chat().predict(network, batch_of(each, 1, packed=True))[0] for each in (said, other))
    assert first.loss == pytest.approx(second.loss, rel=1e-6)


def test_rows_are_no_longer_than_the_longest_text_and_hold_each_once():
    generator = random.Random(0)
    for _ in range(20):
        lengths = [generator.randint(1, 90) for _ in range(generator.randint(1, 40))]
        rows = rows_of(lengths)
        assert sorted(place for row in rows for place in row) == list(range(len(lengths)))
        assert max(sum(lengths[place] for place in row) for row in rows) <= -(-max(lengths) // 8) * 8
        assert len(rows) <= len(lengths)


@pytest.mark.parametrize(
    "make",
    [
        lambda: MambaForCausalLM(MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2)),
        lambda: BloomForCausalLM(BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=2)),
    ],
    ids=["mamba", "bloom"],
)
def test_a_network_that_cannot_keep_texts_apart_is_refused_and_learns_them_in_rows_of_their_own(make):
    torch.manual_seed(0)
    network = make().eval()
    with pytest.raises(ValueError, match="packing"):
        require_texts_kept_apart(network)
    said = texts(5, 12)
    together = Chat().predict(network, batch_of(said, 1, packed=False))
    for one, each in zip(said, together, strict=True):
        (alone,) = Chat().predict(network, batch_of([one], 1, packed=False))
        assert each.loss == pytest.approx(alone.loss, rel=1e-4)


def test_packing_is_left_out_where_it_is_switched_off(tmp_path):
    base = save_llama(tmp_path / "base")
    tokenizer = open_tokenizer(base, 64)
    said = [
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b" * each}]}
        for each in (1, 9, 3, 20)
    ]
    encoded = [row for each in said for row in Chat().encode(each, tokenizer, [])]
    network = Chat().network(base, []).eval()
    losses = []
    for head in (Chat(), Chat(packing=False)):
        batch = head.collate(encoded, 1)
        losses.append(head.loss(network, batch).item())
    assert len(batch["input_ids"]) == 4
    assert losses[0] == pytest.approx(losses[1], abs=1e-5)
