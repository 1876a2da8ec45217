"""What a user of stock T5 does with our export: load it, give it more tokens, save it, load it again."""

import pytest
import torch
from tiny_pretraining import tiny_config
from transformers import AutoModelForSeq2SeqLM
from transformers.utils import logging as transformers_logging

from lm_modules.export.export import export
from lm_modules.training.pretraining import pretrain

IDS_BL = torch.arange(20, 36)[None]
LEARNED = {"objective": "span_denoising", "optimization__budget_steps": 6, "optimization__warmup_fraction": 0.0}


@pytest.fixture(scope="module", params=[True, False], ids=["tied", "untied"])
def exported(request, text, tmp_path_factory):
    """Return whether it is tied, and the directory of the stock model."""
    directory = tmp_path_factory.mktemp("exported")
    config = tiny_config(**LEARNED, model__tied_embeddings=request.param)
    result = pretrain(config, tokens=text[0], tokenizer=text[1], workdir=directory, seed=0)
    export(result["checkpoint"], text[1], directory / "model")
    return request.param, directory / "model"


def logits(model, num_tokens):
    with torch.no_grad():
        return model(input_ids=IDS_BL, decoder_input_ids=IDS_BL).logits[..., :num_tokens]


def test_it_survives_more_tokens_and_another_saving_as_its_card_says(exported, tmp_path, caplog, monkeypatch):
    tied, directory = exported
    monkeypatch.setattr(transformers_logging.get_logger("transformers"), "propagate", True)
    model = AutoModelForSeq2SeqLM.from_pretrained(directory)
    assert ("but both are present" in caplog.text) is not tied
    card = (directory / "README.md").read_text()
    line = "model.config.tie_word_embeddings = False"
    assert (line in card) is not tied
    num_tokens = model.config.vocab_size
    before = logits(model, num_tokens)
    if not tied:
        exec(line, {"model": model})
    model.resize_token_embeddings(num_tokens + 8, mean_resizing=False)
    assert torch.equal(logits(model, num_tokens), before)
    model.save_pretrained(tmp_path)
    again = AutoModelForSeq2SeqLM.from_pretrained(tmp_path)
    assert torch.equal(logits(again, num_tokens), before)
