"""Preferences are learned by the loss of the paper, against the base as it was."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from chat_templates import CHATML, save_chat_llama
from torch.nn.functional import log_softmax
from transformers import AutoModelForCausalLM

from configs.finetuning import FinetuningConfig
from lm_modules.data.labelled_examples import read_examples
from lm_modules.evaluation.predictions import predict_with_directory
from lm_modules.heads.preference import Preference
from lm_modules.model.stock import open_tokenizer
from lm_modules.training.finetuning import finetune
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)
PAIRS = [
    {"prompt": "Hi", "chosen": "a cat", "rejected": "no dog at all"},
    {"prompt": "two", "chosen": "cats and more", "rejected": "dog"},
    {
        "prompt": [
            {"role": "system", "content": "Count"},
            {"role": "user", "content": "1"},
            {"role": "assistant", "content": "2"},
            {"role": "user", "content": "3"},
        ],
        "chosen": "4",
        "rejected": "5, 6, 7",
    },
]


@pytest.fixture
def base(tmp_path):
    return save_chat_llama(tmp_path / "base", CHATML, max_position_embeddings=256)


def log_probability(network, tokenizer, prompt, answer):
    """Return the log-probability of an answer and its end, by stock parts alone, the prompt and then the answer."""
    if isinstance(prompt, str):
        prompt = [{"role": "user", "content": prompt}]
    asked = tokenizer.apply_chat_template(prompt, tokenize=False, add_generation_prompt=True)
    first = tokenizer(asked, split_special_tokens=False)["input_ids"]
    then = tokenizer(f"{answer}<|im_end|>", split_special_tokens=False)["input_ids"]
    logits = network(torch.tensor([first + then])).logits[0, len(first) - 1 : -1]
    return log_softmax(logits, -1).gather(1, torch.tensor(then)[:, None]).sum()


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize("packing", [True, False])
def test_the_loss_and_its_gradient_are_those_of_the_paper(base, label_smoothing, packing):
    head, tokenizer = Preference(beta=0.3, packing=packing), open_tokenizer(base)
    reference = AutoModelForCausalLM.from_pretrained(base)
    policy = head.network(base, [])
    torch.manual_seed(1)
    encoded = [head.encode(head.checked(each), tokenizer, []) for each in PAIRS]
    encoded = head.prepare(policy, encoded, tokenizer.pad_token_id)
    with torch.no_grad():
        for each in policy.parameters():
            each += 0.05 * torch.randn_like(each)
    batch = head.collate([each for (each,) in encoded], tokenizer.pad_token_id)
    loss = head.loss(policy, batch, label_smoothing)
    loss.backward()
    gradients = {name: each.grad.clone() for name, each in policy.named_parameters()}
    policy.zero_grad()
    total = torch.zeros(())
    for each in PAIRS:
        with torch.no_grad():
            base_says = [
                log_probability(reference, tokenizer, each["prompt"], each[name]) for name in ("chosen", "rejected")
            ]
        says = [log_probability(policy, tokenizer, each["prompt"], each[name]) for name in ("chosen", "rejected")]
        # equation 7, as it is written: sigma(beta log(pi_w / ref_w) - beta log(pi_l / ref_l))
        margin = 0.3 * (says[0] - base_says[0]) - 0.3 * (says[1] - base_says[1])
        total = total - (1 - label_smoothing) * torch.log(torch.sigmoid(margin))
        total = total - label_smoothing * torch.log(1 - torch.sigmoid(margin))
    (total / len(PAIRS)).backward()
    assert loss.item() == pytest.approx(total.item() / len(PAIRS), abs=1e-5)
    for name, each in policy.named_parameters():
        torch.testing.assert_close(gradients[name], each.grad, rtol=1e-4, atol=1e-5)


def test_before_the_first_step_the_loss_is_that_of_a_coin(base):
    head, tokenizer = Preference(), open_tokenizer(base)
    network = head.network(base, [])
    encoded = head.prepare(network, [head.encode(head.checked(each), tokenizer, []) for each in PAIRS], 1)
    batch = head.collate([each for (each,) in encoded], 1)
    assert head.loss(network, batch).item() == pytest.approx(math.log(2), abs=1e-6)


def save_pairs(directory: Path) -> Path:
    directory.mkdir()
    for split, first, number in (("train", 0, 24), ("validation", 24, 8), ("test", 32, 8)):
        rows = [
            {"id": f"{split}-{place}", "prompt": [{"role": "user", "content": f"No {place}"}], "group": None}
            | ({"chosen": "yes", "rejected": "not so"} if place % 2 else {"chosen": "yes, please", "rejected": "no"})
            for place in range(first, first + number)
        ]
        (directory / f"{split}.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (directory / "labels.json").write_text("[]")
    (directory / "head.json").write_text('{"kind": "preference"}')
    return directory


def settings(**changes):
    optimization = {
        "learning_rate": 2e-3,
        "layer_decay": 1.0,
        "epochs": 4,
        "batch_examples": 8,
        "evaluations_per_epoch": 1,
    }
    return FinetuningConfig(
        head="preference",
        data={"kind": "jsonl", "path": "unused"},
        dropout=0.1,
        context_length=64,
        optimization=optimization | changes,
    )


def test_it_learns_what_is_preferred_and_the_saved_model_prefers_it_too(base, tmp_path):
    data = save_pairs(tmp_path / "data")
    found = finetune(settings(epochs=8), base=base, data=data, workdir=tmp_path / "work", seed=0, report=keep_going)
    assert found["validation/loss"] < math.log(2) / 2
    before, after = (
        predict_with_directory(each, read_examples(data, "test")) for each in (with_head(base), found["model"])
    )
    for one, other in zip(before, after, strict=True):
        margins = [each.value["chosen"] - each.value["rejected"] for each in (one, other)]
        # the mean loss is below half of ln 2 where beta times the gain is about 0.9
        assert margins[1] > margins[0] + 5
        assert other.loss is None


def with_head(base: Path) -> Path:
    (base / "head.json").write_text('{"kind": "preference"}')
    return base


def test_a_run_that_goes_on_asks_the_base_again_and_not_what_was_learned(base, tmp_path):
    data = save_pairs(tmp_path / "data")
    whole = finetune(settings(), base=base, data=data, workdir=tmp_path / "whole", seed=0, report=keep_going)
    stopped = finetune(
        settings(), base=base, data=data, workdir=tmp_path / "cut", seed=0, report=lambda step, values: step >= 6
    )
    assert stopped["stopped"]
    again = finetune(settings(), base=base, data=data, workdir=tmp_path / "cut", seed=0, report=keep_going)
    assert again["validation/loss"] == whole["validation/loss"]
    weights = [Path(each["model"]) / "model.safetensors" for each in (whole, again)]
    assert weights[0].read_bytes() == weights[1].read_bytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            {"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
            "ends with the assistant",
        ),
        ({"rejected": "a cat"}, "are the same"),
        ({"chosen": [{"role": "user", "content": "a"}]}, "chosen that the assistant does not say"),
        ({"rejected": " "}, "empty rejected"),
        ({"prompt": 5}, "field 'prompt' is no list"),
    ],
)
def test_pairs_that_cannot_be_learned_are_refused(change, reason):
    with pytest.raises(ValueError, match=reason):
        Preference().checked({**PAIRS[0], **change})


@pytest.mark.parametrize("as_json", [False, True])
def test_whole_conversations_are_parted_where_they_differ(as_json):
    asks = {"role": "user", "content": "Hi"}
    fields = {
        name: [asks, {"role": "assistant", "content": said}] for name, said in (("chosen", "a cat"), ("rejected", "no"))
    }
    if as_json:  # as a column of a table holds them
        fields = {name: json.dumps(each) for name, each in fields.items()}
    expected = {"prompt": [asks], "chosen": "a cat", "rejected": "no"}
    assert Preference().checked(fields) == expected
    assert Preference().checked({"prompt": "Hi", **fields}) == expected
    other = [{"role": "user", "content": "Ho"}, {"role": "assistant", "content": "no"}]
    with pytest.raises(ValueError, match="differ before their last message"):
        Preference().checked({"chosen": fields["chosen"], "rejected": other})


def test_answers_in_json_are_texts_and_a_prompt_of_its_own_is_not_dropped():
    answer = '[{"name": "x"}]'
    assert Preference().checked({"prompt": "Hi", "chosen": answer, "rejected": "[]"})["chosen"] == answer
    turns = {
        name: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": said}]
        for name, said in (("chosen", "a"), ("rejected", "b"))
    }
    with pytest.raises(ValueError, match="prompt that differs from what chosen and rejected begin with"):
        Preference().checked({"prompt": "Ho", **turns})


def test_a_prompt_that_only_begins_like_messages_is_a_text():
    fields = Preference().checked({"prompt": "[1, 2] is what?", "chosen": "a list", "rejected": "no"})
    assert fields["prompt"] == [{"role": "user", "content": "[1, 2] is what?"}]


def test_only_the_last_answer_counts(base):
    tokenizer = open_tokenizer(base)
    (found,) = Preference().encode(Preference().checked(PAIRS[2]), tokenizer, [])
    learned = [token for token in found.target.chosen[1] if token != -100]
    assert tokenizer.decode(learned) == "4<|im_end|>"
    assert len(found) == len(found.target.chosen[0]) + len(found.target.rejected[0])


def test_all_pairs_of_a_prompt_go_to_one_split():
    pairs = [Preference().checked({"prompt": "Hi", "chosen": "a", "rejected": each}) for each in ("b", "c", "d")]
    assert len({Preference().texts(each) for each in pairs}) == 1
