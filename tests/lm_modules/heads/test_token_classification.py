"""Tags for words: the loss of the stock model, long texts, and what a saved model answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from tiny_models import save_bert, save_llama

from lm_modules.data.documents import Example
from lm_modules.evaluation.baselines import frequent_tag
from lm_modules.evaluation.metrics.entity_f1 import EntityF1
from lm_modules.evaluation.metrics.tag_accuracy import TagAccuracy
from lm_modules.evaluation.predictions import predict, predict_with_directory
from lm_modules.evaluation.scores import score
from lm_modules.heads.token_classification import IGNORED, TokenClassification
from lm_modules.model.stock import open_tokenizer, quiet_loading
from lm_modules.serving.entities_service import EntitiesService
from lm_modules.serving.word_windows import word_spans
from lm_modules.training.finetuning_evaluations import Validation

torch.set_num_threads(1)
LABELS = ["B-person", "B-place", "I-person", "O"]
TEXT = "Ada Byron met Bo in Rome, and Bo met Ada Byron there. " * 6
TAG_OF = {"Ada": "B-person", "Byron": "I-person", "Bo": "B-person", "Rome": "B-place"}
WORDS = [TEXT[start:end] for start, end in word_spans(TEXT)]
TAGS = [TAG_OF.get(word, "O") for word in WORDS]
LONG = Example("1", {"words": WORDS, "tags": TAGS})


@pytest.fixture(params=[save_llama, save_bert], ids=["llama", "bert"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return request.param(tmp_path / "base")


@pytest.fixture(params=["first", "last"])
def head(request: pytest.FixtureRequest) -> TokenClassification:
    return TokenClassification(piece=request.param)


def test_the_loss_is_that_of_the_stock_model(base, head):
    tokenizer = open_tokenizer(base, 32)
    torch.manual_seed(0)
    network = head.network(base, LABELS)
    rows = head.encode(LONG.fields, tokenizer, LABELS)
    batch = head.collate(rows, tokenizer.pad_token_id)
    theirs = network(**{name: value for name, value in batch.items() if name != "asked"}).loss
    assert head.loss(network, batch).item() == pytest.approx(theirs.item(), rel=1e-6)
    assert int(batch["asked"].sum()) == head.num_targets(rows) == len(WORDS)


def test_a_tag_that_training_does_not_know_is_missed_by_the_answer_and_left_out_of_the_loss(base, head):
    """`I-place` is known and `B-place` is not: what is read as a place all the same is found."""
    tokenizer, labels = open_tokenizer(base, 64), ["B-person", "I-place", "O"]
    network = head.network(base, labels).eval()
    words = ["Ada", "saw", "Old", "Rome"]
    whole = Example("1", {"words": words, "tags": ["B-person", "O", "B-place", "I-place"]})
    none = Example("2", {"words": words[:1], "tags": ["B-place"]})
    rows = [head.encode(each.fields, tokenizer, labels) for each in (whole, none)]
    assert [row.target for several in rows for row in several] == [[0, 2, IGNORED, 1], [IGNORED]]
    assert [head.num_targets(several) for several in rows] == [3, 0]
    told, empty = predict(head, network, tokenizer, [whole, none], rows)
    assert (told.num_targets, empty.num_targets, empty.loss) == (3, 0, 0.0)
    assert told.loss == pytest.approx(
        head.loss(network, head.collate(rows[0], tokenizer.pad_token_id)).item(), rel=1e-5
    )
    values = Validation(head, [whole, none], tokenizer, labels).values(network)
    assert values["validation/loss"] == pytest.approx(told.loss, rel=1e-5)
    said = ["B-person", "O", "I-place", "I-place"]  # all that such a model can say
    assert score(EntityF1(), [said], [head.reference(whole.fields)], labels) == 1.0
    assert score(TagAccuracy(), [said], [head.reference(whole.fields)], labels) == 0.75


@pytest.fixture
def learned(base, head, tmp_path) -> Path:
    """A model that knows `LONG` by heart, saved."""
    tokenizer = open_tokenizer(base, 40)
    torch.manual_seed(0)
    network = head.network(base, LABELS).train()
    batch = head.collate(head.encode(LONG.fields, tokenizer, LABELS), tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for _ in range(120):
        head.loss(network, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    with quiet_loading():
        network.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "head.json").write_text(head.model_dump_json())
    return tmp_path / "model"


def test_every_word_of_a_long_text_is_answered(learned, head):
    (answer,) = predict_with_directory(learned, [LONG])
    assert len(head.encode(LONG.fields, open_tokenizer(learned), LABELS)) > 5
    assert answer.value == TAGS
    assert answer.num_targets == len(WORDS)
    assert answer.loss is None
    network = head.network(learned, LABELS)
    tokenizer = open_tokenizer(learned)
    rows = head.encode(LONG.fields, tokenizer, LABELS)
    (told,) = predict(head, network, tokenizer, [LONG], [rows])
    whole = head.loss(network, head.collate(rows, tokenizer.pad_token_id)).item()
    assert told.loss == pytest.approx(whole, rel=1e-4)
    assert told.probability == pytest.approx(answer.probability)


def test_the_service_finds_the_entities_in_their_places(learned):
    service = EntitiesService(learned)
    (said,) = service.predict([TEXT])
    found = json.loads(said)
    expected = ["Ada Byron", "Bo", "Rome", "Bo", "Ada Byron"] * 6
    assert [each["text"] for each in found] == expected
    assert [TEXT[each["start"] : each["end"]] for each in found] == expected
    assert {each["type"] for each in found if each["text"] == "Rome"} == {"place"}
    assert all(0.5 < each["probability"] <= 1 for each in found)
    tags, _ = service.tags(WORDS)
    assert tags == predict_with_directory(learned, [LONG])[0].value
    assert service.predict(["", "   "]) == ["[]", "[]"]


def test_words_of_which_the_tokenizer_leaves_nothing_are_outside(base, head):
    tokenizer = open_tokenizer(base, 32)
    tokenizer.backend_tokenizer.normalizer = None
    fields = {"words": ["Ada", "met"], "tags": ["B-person", "O"]}
    (row,) = head.encode(fields, tokenizer, LABELS)
    network = head.network(base, LABELS)
    found = head.predict(network, head.collate([row], tokenizer.pad_token_id))
    three = {"words": ["Ada", "met", "\x00"]}
    answer = head.answer(three, [row], found, tokenizer)
    assert answer.value == [*found[0].value, "O"]
    assert head.answer(three, [], [], tokenizer).value == ["O", "O", "O"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"words": [], "tags": []}, "empty words"),
        ({"words": ["a", " "], "tags": ["O", "O"]}, "one of the words is empty"),
        ({"words": ["a", 3], "tags": ["O", "O"]}, "one of the words is no string"),
        ({"words": ["a", "b"], "tags": ["O"]}, "not as many tags as words"),
        ({"words": ["a"], "tags": [None]}, "field 'tags' is neither a string nor a whole number"),
    ],
)
def test_what_is_wrong_is_said(head, fields, reason):
    with pytest.raises(ValueError, match=reason):
        head.checked(fields)


def test_words_and_tags_may_be_written_in_a_cell_of_a_table(head):
    checked = {"words": ["in", "Rome"], "tags": ["O", "B-place"]}
    assert head.checked({"words": "in Rome", "tags": "O B-place"}) == checked
    assert head.checked({"words": '["in", "Rome"]', "tags": '["O", "B-place"]'}) == checked
    assert head.checked({"words": ["in", "Rome"], "tags": [0, 1]})["tags"] == ["0", "1"]


def test_the_baseline_tags_words_as_they_were_tagged_most_often(head):
    train = [
        Example("1", {"words": ["Rome", "is", "Rome"], "tags": ["B-place", "O", "B-person"]}),
        Example("2", {"words": ["Rome", "was", "so"], "tags": ["B-place", "O", "O"]}),
    ]
    (answer,) = frequent_tag(head, train, [Example("3", {"words": ["Rome", "fell"], "tags": ["O", "O"]})])
    assert answer.value == ["B-place", "O"]
    assert answer.probability == pytest.approx(2 / 3 * 3 / 6)
