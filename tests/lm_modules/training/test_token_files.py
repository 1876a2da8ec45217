"""Tokens that are not what was packed are refused before the first step, and before a run goes on."""

import pytest
from tiny_pretraining import make_tokens, tiny_config

from lm_modules.data.packed import write_packed
from lm_modules.training.pretraining import Interrupted, pretrain


def run(text, workdir, report=lambda step, values: False):
    config = tiny_config(compute__progress_every_seconds=0.0, optimization__budget_steps=4)
    return pretrain(config, tokens=text[0], tokenizer=text[1], workdir=workdir, seed=3, report=report)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_changed_byte_is_refused_at_the_beginning_and_when_the_run_goes_on(tmp_path, split):
    text = make_tokens(tmp_path)
    with pytest.raises(Interrupted):
        run(text, tmp_path / "stopped", lambda step, values: step >= 2)
    tokens = text[0] / f"{split}.bin"
    content = bytearray(tokens.read_bytes())
    content[40] ^= 1
    tokens.write_bytes(content)
    for workdir in (tmp_path / "stopped", tmp_path / "new"):
        with pytest.raises(ValueError, match=rf"{split}\.bin has the digest \w+, .* was changed or damaged"):
            run(text, workdir)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_a_token_outside_the_vocabulary_is_named_with_its_place_and_the_remedy(tmp_path, split):
    text = make_tokens(tmp_path)
    ids = [20] * 500 + [271] + [20] * 500
    write_packed(text[0], split, [(ids, 1001)], vocab_size=271, end_of_text_id=0)
    message = rf"{split}\.bin has the token id 271 at place 500, and its vocabulary has 271 entries, .* Pack the corpus"
    with pytest.raises(ValueError, match=message):
        run(text, tmp_path / "work")
