"""Answers in texts longer than what a model reads at once, and models that are what the base was."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pandas
import pytest
import torch
from safetensors.torch import load_file
from stock_bases import save_base
from tiny_models import save_bert, save_llama
from transformers import (
    AutoModelForQuestionAnswering,
    EuroBertConfig,
    EuroBertForMaskedLM,
    MinistralConfig,
    MinistralForCausalLM,
    ModernBertConfig,
    ModernBertForMaskedLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from configs.evaluation import EvaluationConfig
from configs.finetuning import FinetuningConfig
from lm_modules.data.documents import Example
from lm_modules.data.labelled_data import collect
from lm_modules.evaluation.evaluate import evaluate
from lm_modules.evaluation.predictions import predict, predict_with_directory
from lm_modules.heads.extractive_qa import NO_ANSWER, ExtractiveQa
from lm_modules.model.stock import open_tokenizer, quiet_loading
from lm_modules.serving.question_answering_service import QuestionAnsweringService
from lm_modules.serving.spans import Answer, Spans, best_answers, best_spans, windows
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_evaluations import Validation
from lm_modules.training.reporting import keep_going

torch.set_num_threads(1)
SIZES = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 64}
IDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
GROUPED = {"num_key_value_heads": 2, "head_dim": 16}
OURS = {
    "modernbert": lambda: ModernBertForMaskedLM(ModernBertConfig(**SIZES, **IDS)),
    "eurobert": lambda: EuroBertForMaskedLM(EuroBertConfig(**SIZES, **IDS)),
    "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SIZES, **GROUPED, **IDS)),
    "ministral": lambda: MinistralForCausalLM(MinistralConfig(**SIZES, **GROUPED, **IDS)),
}


def save_ours(kind: str, directory: Path) -> Path:
    torch.manual_seed(0)
    with quiet_loading():
        OURS[kind]().save_pretrained(directory)
    return directory


BASES = {"llama": save_llama, "bert": save_bert}
BASES |= {kind: lambda directory, kind=kind: save_base(kind, directory) for kind in ("gpt2", "t5")}
BASES |= {kind: lambda directory, kind=kind: save_ours(kind, directory) for kind in OURS}


@pytest.mark.parametrize("kind", BASES)
def test_every_weight_but_the_heads_comes_from_the_base_and_stays_in_the_stock_directory(kind: str, tmp_path: Path):
    base = BASES[kind](tmp_path / "base")
    network = ExtractiveQa().network(base, [])
    there = list(load_file(base / "model.safetensors").values())
    new = [
        name
        for name, weight in network.named_parameters()
        if not any(each.shape == weight.shape and torch.equal(each, weight.data) for each in there)
    ]
    assert {name.rpartition(".")[0] for name in new} <= {"qa_outputs", "classifier"}
    assert new
    with quiet_loading():
        network.save_pretrained(tmp_path / "tuned")
        again = ExtractiveQa().auto_class(tmp_path / "tuned").from_pretrained(tmp_path / "tuned")
    for (name, weight), other in zip(network.named_parameters(), again.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_a_base_that_was_tuned_for_answers_keeps_its_head(tmp_path: Path):
    first = ExtractiveQa().network(save_llama(tmp_path / "base"), [])
    with quiet_loading():
        first.save_pretrained(tmp_path / "tuned")
    open_tokenizer(tmp_path / "base").save_pretrained(tmp_path / "tuned")
    again = ExtractiveQa().network(tmp_path / "tuned", [])
    assert all(torch.equal(*pair) for pair in zip(first.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("kind", ["llama", "bert", "gpt2", "t5"])
def test_the_loss_is_that_of_the_stock_model(kind: str, tmp_path: Path):
    head, tokenizer = ExtractiveQa(), open_tokenizer(BASES[kind](tmp_path), 32)
    network = head.network(tmp_path, []).eval()
    fields = head.checked({"question": "q?", "context": "a red cat", "answers": [{"text": "red", "start": 2}]})
    (row,) = head.encode(fields, tokenizer, [])
    batch = head.collate([row], tokenizer.pad_token_id)
    length = len(row.token_ids)  # the stock loss takes padding for a choice
    start, end = batch["labels"].unbind(-1)
    stock = network(
        input_ids=batch["input_ids"][:, :length],
        attention_mask=batch["attention_mask"][:, :length],
        start_positions=start,
        end_positions=end,
    )
    batch.pop("token_type_ids", None)
    assert head.loss(network, batch).item() == pytest.approx(stock.loss.item(), rel=1e-5)


def test_smoothing_spreads_over_tokens_and_not_over_padding(tmp_path: Path):
    head, tokenizer = ExtractiveQa(), open_tokenizer(save_bert(tmp_path), 64)
    network = head.network(tmp_path, []).eval()
    rows = [
        head.encode(head.checked({"question": "q", "context": text, "answers": []}), tokenizer, [])[0]
        for text in ("short", "a text that is longer than the other")
    ]
    together = head.loss(network, head.collate(rows, 2), 0.1).item()
    alone = [head.loss(network, head.collate([row], 2), 0.1).item() for row in rows]
    assert together == pytest.approx(sum(alone) / 2, rel=1e-5)
    assert together != pytest.approx(head.loss(network, head.collate(rows, 2)).item(), rel=1e-4)


LONG = " ".join(f"line {number} says nothing." for number in range(12)) + " The fox is red."
RED = {"question": "colour?", "context": LONG, "answers": [{"text": "red", "start": LONG.index("red")}]}


@pytest.mark.parametrize("save", [save_llama, save_bert])
def test_windows_cover_the_whole_context_and_targets_are_where_the_answer_is(save, tmp_path: Path):
    head, tokenizer = ExtractiveQa(overlap_tokens=16), open_tokenizer(save(tmp_path), 64)
    rows = head.encode(head.checked(RED), tokenizer, [])
    assert len(rows) > 4
    assert all(len(row.token_ids) <= 64 for row in rows)
    covered = {at for row in rows for place in row.places if place for at in range(*place)}
    assert covered == set(range(len(LONG)))
    for row, after in pairwise(rows[:-1]):
        inside, next_inside = ({place for place in each.places if place} for each in (row, after))
        assert len(inside & next_inside) == 16
    assert [row.target == NO_ANSWER for row in rows] == [True] * (len(rows) - 1) + [False]
    first, last = rows[-1].target
    assert LONG[rows[-1].places[first][0] : rows[-1].places[last][1]] == "red"
    assert tokenizer.decode(rows[-1].token_ids).lstrip("[CLS]").startswith("colour?")


@pytest.mark.parametrize("save", [save_llama, save_bert])
def test_an_answer_in_the_last_of_many_windows_is_learned_and_found(save, tmp_path: Path):
    torch.manual_seed(0)
    head, tokenizer = ExtractiveQa(overlap_tokens=16), open_tokenizer(save(tmp_path / "base"), 64)
    fields = [RED, {"question": "who?", "context": LONG, "answers": []}]
    examples = [Example(str(number), head.checked(each)) for number, each in enumerate(fields)]
    encoded = [head.encode(each.fields, tokenizer, []) for each in examples]
    network = head.network(tmp_path / "base", [])
    batch = head.collate([row for rows in encoded for row in rows], tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(150):
        head.loss(network.train(), batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    found = predict(head, network, tokenizer, examples, encoded)
    assert [each.value for each in found] == ["red", ""]
    # the saved model, and the service of a registered one, say the same without knowing the answer
    with quiet_loading():
        network.save_pretrained(tmp_path / "tuned")
    tokenizer.save_pretrained(tmp_path / "tuned")
    (tmp_path / "tuned" / "head.json").write_text(head.model_dump_json())
    again = predict_with_directory(tmp_path / "tuned", examples)
    table = pandas.DataFrame([{name: each.fields[name] for name in head.inputs} for each in examples])
    served = QuestionAnsweringService(tmp_path / "tuned").predict(table)
    for before, after, third in zip(found, again, served, strict=True):
        assert before.value == after.value == third["answer"]
        assert before.probability == pytest.approx(after.probability, abs=1e-5)
        assert before.probability == pytest.approx(third["probability"], abs=1e-5)


COLOURS = ("red", "blue", "grey", "pink")


@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_files_of_squad_become_a_model_that_is_judged(adapter: str, tmp_path: Path):
    articles = []
    for number in range(120):
        colour, name = COLOURS[number % 4], "".join("abcdefghij"[int(digit)] for digit in f"{number:03}")
        context = f"a {name} is {colour}"
        answers = [{"text": colour, "answer_start": context.index(colour)}]
        qas = [
            {"id": f"{number}", "question": "colour?", "answers": answers},
            {"id": f"{number}-", "question": "who?", "answers": []},
        ]
        articles.append({"title": name, "paragraphs": [{"context": context, "qas": qas}]})
    (tmp_path / "a.json").write_text(json.dumps({"data": articles}))
    settings = FinetuningConfig.model_validate(
        {
            "head": {"kind": "extractive_qa"},
            "data": {"kind": "squad", "path": str(tmp_path / "a.json")},
            "adapter": adapter,
            "dropout": 0.0,
            "context_length": 40,
            "optimization": {
                "learning_rate": 5e-3,
                "layer_decay": 1.0,
                "epochs": 10,
                "batch_examples": 16,
                "evaluations_per_epoch": 1,
            },
        }
    )
    collect(settings.data, settings.head, tmp_path / "data", seed=0)
    result = finetune(
        settings,
        base=save_bert(tmp_path / "base"),
        data=tmp_path / "data",
        workdir=tmp_path / "work",
        seed=0,
        report=keep_going,
    )
    untrained = tmp_path / "untrained"
    with quiet_loading():
        settings.head.network(tmp_path / "base", []).save_pretrained(untrained)
    for name in ("tokenizer.json", "tokenizer_config.json", "head.json"):
        shutil.copy(Path(result["model"]) / name, untrained)
    models = {"random_weights": untrained, "tuned": Path(result["model"])}
    found = evaluate(EvaluationConfig(), data=tmp_path / "data", models=models, output=tmp_path / "found", seed=0)
    tuned = {name: each["value"] for name, each in found["models"]["tuned"]["metrics"].items()}
    assert tuned["exact_match"] > 0.9
    assert tuned["answer_f1"] >= tuned["exact_match"]
    assert [each["better"] for each in found["comparisons"]] == [True, True]
    assert found["labels"] == []


def test_an_answer_that_no_window_holds_is_not_learned_but_asked_for(tmp_path: Path):
    head, tokenizer = ExtractiveQa(), open_tokenizer(save_bert(tmp_path), 32)
    fields = head.checked({"question": "q", "context": LONG, "answers": [{"text": LONG[:60], "start": 0}]})
    assert head.encode(fields, tokenizer, []) == []
    nothing = head.answer(fields, [], [], tokenizer)
    assert (nothing.value, nothing.loss) == ("", None)
    assert len(head.encode({"question": "q", "context": LONG}, tokenizer, [])) > 4


def test_the_validation_asks_what_no_window_holds_whole_as_the_test_does(tmp_path: Path):
    head, base = ExtractiveQa(no_answer_threshold=None), save_bert(tmp_path / "base")
    tokenizer = open_tokenizer(base, 32)
    torch.manual_seed(0)
    network = head.network(base, [])
    fitting = {"question": "q", "context": LONG[:8], "answers": [{"text": LONG[:2], "start": 0}]}
    too_long = {"question": "q", "context": LONG, "answers": [{"text": LONG[:60], "start": 0}]}
    examples = [Example(str(place), head.checked(each)) for place, each in enumerate((fitting, too_long))]
    with quiet_loading():
        network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "head.json").write_text(head.model_dump_json())
    validation = Validation(head, examples, tokenizer, [])
    at_the_validation = predict(head, network, tokenizer, examples, validation.encoded)
    at_the_test = predict_with_directory(tmp_path / "model", examples)
    assert [each.value for each in at_the_validation] == [each.value for each in at_the_test]
    assert all(each.value for each in at_the_test)
    assert [each.loss is None for each in at_the_validation] == [False, True]
    (alone,) = predict(head, network, tokenizer, examples[:1], validation.encoded[:1])
    assert validation.values(network)["validation/loss"] == pytest.approx(alone.loss)
    with pytest.raises(ValueError, match="none of the 1 validation examples can be scored"):
        Validation(head, examples[1:], tokenizer, [])


def test_a_question_longer_than_the_window_leaves_half_of_it_to_the_context(tmp_path: Path):
    for save in (save_llama, save_bert):
        tokenizer = open_tokenizer(save(tmp_path / save.__name__), 40)
        for question in ("why? " * 100, "\N{GRINNING FACE}" * 50, "é" * 300):
            found = windows(tokenizer, question, LONG, 128)
            assert all(sum(place is not None for place in each.places) >= 1 for each in found)
            assert sum(place is not None for place in found[0].places) >= 18


def test_best_spans_are_those_of_trying_all():
    generator = torch.Generator().manual_seed(0)
    start_BL, end_BL = torch.randn(2, 12, generator=generator), torch.randn(2, 12, generator=generator)
    inside_BL = torch.zeros(2, 12, dtype=torch.bool)
    inside_BL[0, 3:10] = inside_BL[1, 5:7] = True
    found = best_spans(start_BL, end_BL, inside_BL, max_answer_tokens=4, num_best=6)
    for row in range(2):
        every = [
            ((start_BL[row, first] + end_BL[row, last]).item(), first, last)
            for first in range(12)
            for last in range(first, min(first + 4, 12))
            if inside_BL[row, first] and inside_BL[row, last]
        ]
        assert found[row].best == sorted(every, reverse=True)[:6]
        assert found[row].none == pytest.approx((start_BL[row, 0] + end_BL[row, 0]).item())


PLACES = [[None, (0, 3), (3, 7)], [None, (3, 7), (7, 9)]]
SAID = [Spans(2.0, [(1.0, 1, 1), (0.0, 1, 2)]), Spans(-1.0, [(0.5, 2, 2), (3.0, 1, 1)])]


def test_the_best_span_of_all_windows_answers_if_it_beats_no_answer_by_the_threshold():
    def said(threshold: float | None):
        return best_answers("The fox!!", PLACES, SAID, num_best=20, no_answer_threshold=threshold)

    scores = torch.tensor([3.0, 1.0, 0.5, 0.0])
    assert said(None)[0] == Answer("fox", 4, pytest.approx(scores.softmax(0)[0].item()))
    with_none = torch.cat([scores, torch.tensor([-1.0])])  # the lowest of the two
    assert said(0.0)[0] == Answer("fox", 4, pytest.approx(with_none.softmax(0)[0].item()))
    assert said(-5.0)[0] == Answer("", None, pytest.approx(with_none.softmax(0)[4].item()))
    assert best_answers("", [], [], num_best=20, no_answer_threshold=None) == [Answer("", None, 1.0)]


@pytest.mark.parametrize(("threshold", "place_of_none"), [(None, None), (0.0, 4), (-1.2, 3), (-2.5, 1), (-5.0, 0)])
def test_the_best_answers_come_in_order_and_no_answer_where_the_threshold_sets_it(threshold, place_of_none):
    found = best_answers("The fox!!", PLACES, SAID, num_best=20, no_answer_threshold=threshold)
    spans = [each for each in found if each.start is not None]
    assert [each.probability for each in spans] == sorted((each.probability for each in spans), reverse=True)
    assert all("The fox!!"[each.start :].startswith(each.text) for each in spans)
    assert len(spans) == len({(each.start, each.text) for each in spans}) == 4
    assert [place for place, each in enumerate(found) if each.start is None] == (
        [] if place_of_none is None else [place_of_none]
    )
    assert sum(each.probability for each in found) == pytest.approx(1)


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([{"text": "red", "start": 3}], "does not stand at its start"),
        ([{"text": "red", "start": -7}], "does not stand at its start"),
        ([{"text": "red", "start": 10**12}], "does not stand at its start"),
        ([{"text": "red", "start": "2"}], "has no text with a start"),
        ([{"text": "red", "start": True}], "has no text with a start"),
        ([{"text": " ", "start": 1}], "is empty"),
        ([["red", 2]], "has no text with a start"),
        ({"text": ["red"], "answer_start": []}, "as many starts as texts"),
        ("{not json", "is no list"),
        (7, "is no list"),
    ],
)
def test_answers_that_cannot_be_are_named(answers, reason: str):
    with pytest.raises(ValueError, match=f"answers.*{reason}"):
        ExtractiveQa().checked({"question": "q", "context": "a red cat", "answers": answers})


def test_answers_come_in_many_forms():
    forms = [[{"text": " red", "start": 1}], {"text": ["red"], "answer_start": [2]}]
    for each in [*forms, *map(json.dumps, forms)]:
        fields = ExtractiveQa().checked({"question": "q", "context": "a red cat", "answers": each})
        assert fields["answers"] == [{"text": "red", "start": 2}]
    for none in ([], {"text": [], "answer_start": []}, "[]"):
        assert ExtractiveQa().checked({"question": "q", "context": "c", "answers": none})["answers"] == []


def test_an_architecture_that_cannot_point_is_refused(tmp_path: Path):
    (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    with pytest.raises(ValueError, match=r"has no clip that points at tokens; choose another base"):
        ExtractiveQa().auto_class(tmp_path)


def test_decoders_answer_by_the_stock_class(tmp_path: Path):
    assert ExtractiveQa().auto_class(save_llama(tmp_path)) is AutoModelForQuestionAnswering
