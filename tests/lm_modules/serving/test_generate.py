"""Generation from a stock directory: seeded, quiet, greedy at temperature 0."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from lm_modules.serving.generate import generate, samples

END = "<|endoftext|>"
CONTEXT = 48


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama over bytes, saved as every stage would find it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    torch.set_num_threads(1)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bytes_only = Tokenizer(models.BPE(vocab={END: 0} | {each: i + 1 for i, each in enumerate(alphabet)}, merges=[]))
    bytes_only.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bytes_only.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bytes_only, bos_token=END, eos_token=END)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=CONTEXT,
        initializer_range=0.5,
        bos_token_id=0,
        eos_token_id=0,
    )
    directory = tmp_path_factory.mktemp("model")
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def test_equal_seeds_write_equal_text_and_others_do_not(model: Path) -> None:
    first, again, other = (generate(model, "def", max_new_tokens=16, seed=seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


def test_the_callers_randomness_is_left_alone(model: Path) -> None:
    state = torch.random.get_rng_state()
    generate(model, "def", max_new_tokens=4, seed=9)
    assert torch.equal(state, torch.random.get_rng_state())


def test_temperature_zero_takes_the_likeliest_token_each_time(model: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(model).eval()
    tokenizer = AutoTokenizer.from_pretrained(model)
    tokens = [tokenizer.bos_token_id, *tokenizer("class")["input_ids"]]
    start = len(tokens)
    with torch.inference_mode():
        for _ in range(12):
            tokens.append(int(network(torch.tensor([tokens])).logits[0, -1].argmax()))
            if tokens[-1] == tokenizer.eos_token_id:
                break
    expected = tokenizer.decode(tokens[start:], skip_special_tokens=True)
    assert generate(model, "class", max_new_tokens=12, temperature=0) == expected


def test_writing_ends_at_the_end_of_text(model: Path, tmp_path: Path) -> None:
    network = AutoModelForCausalLM.from_pretrained(model)
    with torch.no_grad():
        network.lm_head.weight.zero_()  # every logit is equal, so the likeliest token is the first: the end of text
    network.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(model).save_pretrained(tmp_path)
    assert generate(tmp_path, "abc", temperature=0) == ""


def test_a_sample_does_not_depend_on_its_neighbours(model: Path) -> None:
    both = samples(model, ["import", "class"], max_new_tokens=8, seed=5)
    assert [each["prompt"] for each in both] == ["import", "class"]
    assert both[1]["text"] == generate(model, "class", max_new_tokens=8, seed=5)


def test_the_empty_prompt_begins_a_document(model: Path) -> None:
    assert generate(model, "", max_new_tokens=8, temperature=0) == generate(model, END, max_new_tokens=8, temperature=0)


def test_nothing_reaches_the_screen(model: Path, capfd: pytest.CaptureFixture[str]) -> None:
    generate(model, "x", max_new_tokens=4)
    generate(model, "x", max_new_tokens=4, temperature=0)
    assert capfd.readouterr() == ("", "")


def test_a_prompt_longer_than_the_context_is_refused_with_both_lengths(model: Path) -> None:
    with pytest.raises(ValueError, match=f"{CONTEXT + 1} tokens, the model reads at most {CONTEXT}"):
        generate(model, "a" * CONTEXT)
    generate(model, "a" * (CONTEXT - 5), max_new_tokens=1000)  # writing ends where the context is full


@pytest.mark.parametrize(
    ("settings", "named"),
    [({"temperature": -0.1}, "temperature"), ({"top_p": 0.0}, "top_p"), ({"max_new_tokens": 0}, "max_new_tokens")],
)
def test_impossible_settings_are_named(model: Path, settings: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        generate(model, "x", **settings)  # type: ignore[arg-type]


def test_a_classifier_is_refused_with_its_architecture_and_nothing_is_said(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    LlamaForSequenceClassification(LlamaConfig.from_pretrained(model)).save_pretrained(tmp_path)
    capfd.readouterr()
    with pytest.raises(ValueError, match=r"is a classifier \(LlamaForSequenceClassification\), not a language model"):
        generate(tmp_path, "x")
    assert capfd.readouterr() == ("", "")


def test_a_directory_without_a_model_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no config"):
        generate(tmp_path, "x")
