"""Bits per byte against a plain computation with `transformers`."""

from __future__ import annotations

import lzma
import math
import subprocess

import pytest
import torch
from tiny_models import save_llama
from transformers import AutoModelForCausalLM, AutoTokenizer

from lm_modules.evaluation.likelihood import bits_per_byte, windows, xz_bits_per_byte
from lm_modules.model.stock import quiet_loading

torch.set_num_threads(1)
TEXTS = [
    "A short one.",
    "caf\N{LATIN SMALL LETTER E WITH ACUTE} " * 9,
    "x",
    "",
    "the quick brown fox jumps over the lazy dog " * 5,
]


@pytest.mark.parametrize(("length", "overlap_fraction"), [(64, 0.5), (16, 0.0), (10, 0.8)])
def test_equals_scoring_token_by_token_with_stock_transformers(tmp_path, length, overlap_fraction):
    directory = save_llama(tmp_path / "model", max_position_embeddings=64)
    found = bits_per_byte(directory, TEXTS, context_length=length, overlap_fraction=overlap_fraction)
    with quiet_loading():
        model = AutoModelForCausalLM.from_pretrained(directory).eval()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    stride, nats, num_tokens = length - max(1, int(length * overlap_fraction)), 0.0, 0
    for text in filter(None, TEXTS):
        tokens = [tokenizer.bos_token_id, *tokenizer(text)["input_ids"]]
        for target in range(1, len(tokens)):
            # the first window that holds the target: it begins at a multiple of the stride
            begin = stride * max(0, math.ceil((target + 1 - length) / stride))
            with torch.no_grad():
                logits = model(torch.tensor([tokens[begin:target]])).logits[0, -1]
            nats -= logits.log_softmax(-1)[tokens[target]].item()
            num_tokens += 1
    num_bytes = len("".join(TEXTS).encode())
    assert found["bits_per_byte"] == pytest.approx(nats / math.log(2) / num_bytes, abs=1e-5)
    assert (found["num_bytes"], found["num_tokens"], found["num_documents"]) == (num_bytes, num_tokens, 4)


@pytest.mark.parametrize(
    ("num_tokens", "length", "overlap"), [(1, 8, 4), (2, 8, 4), (8, 8, 4), (9, 8, 1), (100, 16, 5)]
)
def test_every_token_but_the_first_is_scored_once_with_context(num_tokens, length, overlap):
    scored = []
    for begin, end, first in windows(num_tokens, length, overlap):
        assert end - begin <= length
        assert first > begin
        scored += range(first, end)
    assert scored == list(range(1, num_tokens))


def test_xz_equals_the_program(tmp_path):
    content = "".join(TEXTS).encode() * 50
    packed = subprocess.run(["xz", "-9", "--stdout"], input=content, capture_output=True, check=True).stdout
    assert xz_bits_per_byte(TEXTS * 50) == 8 * len(packed) / len(content)
    assert lzma.decompress(packed) == content


def test_no_text_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no text to score"):
        bits_per_byte(save_llama(tmp_path / "model"), [""])
