"""Bits per byte are told as such where the bytes are counted, and as an estimate where they are not."""

import json

import pytest
from tiny_pretraining import make_tokens, tiny_config

from lm_modules.training.pretraining import pretrain


@pytest.mark.parametrize("byte_level", [True, False])
@pytest.mark.parametrize("whole", [True, False])
def test_bits_per_byte_are_an_estimate_where_bytes_are_not_counted(tmp_path, byte_level, whole):
    tokens, tokenizer = make_tokens(tmp_path)
    if not byte_level:
        path = tokenizer / "tokenizer.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"normalizer": {"type": "Lowercase"}}))
    # the split has 544 tokens: 17 rows of 32
    config = tiny_config(optimization__budget_steps=1, validation_tokens=None if whole else 64)
    seen = []
    result = pretrain(
        config,
        tokens=tokens,
        tokenizer=tokenizer,
        workdir=tmp_path / "work",
        seed=0,
        report=lambda step, values: seen.append(values),
    )
    told = {name for values in seen for name in values if "bits_per_byte" in name}
    exact = byte_level or whole
    assert told == {"validation/bits_per_byte" if exact else "validation/bits_per_byte_estimate"}
    assert (result["validation_bits_per_byte"] is not None) == exact
