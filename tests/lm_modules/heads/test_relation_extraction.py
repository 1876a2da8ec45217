"""Relations: how a pair is marked and cut, what a saved model answers, and relations of entities that were found."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pandas
import pytest
import torch
from tiny_models import save_bert, save_llama

from lm_modules.heads.relation_extraction import RelationExtraction
from lm_modules.heads.token_classification import TokenClassification
from lm_modules.model.stock import open_tokenizer, quiet_loading
from lm_modules.serving.marked_pairs import Pair, fitting, from_tags
from lm_modules.serving.relation_service import RelationService
from lm_modules.serving.relations_in_text import RelationsInText

torch.set_num_threads(1)
HEAD = RelationExtraction()
TYPED = RelationExtraction(types=True)


def test_marks_are_those_of_the_paper():
    fields = {
        "text": "Bill was born in Seattle.",
        "head": [0, 4],
        "tail": [17, 24],
        "head_type": "person",
        "tail_type": "city",
    }
    assert TYPED.text(TYPED.checked(fields)) == "@ * person * Bill @ was born in # ^ city ^ Seattle #."
    assert HEAD.text(HEAD.checked(fields)) == "@ Bill @ was born in # Seattle #."


def test_places_and_tags_say_the_same():
    text = "The <e1>student</e1> <e2>association</e2>."
    expected = {"text": "The student association.", "head": [4, 11], "tail": [12, 23]}
    assert HEAD.checked({"text": text}) == expected
    assert HEAD.text(expected) == "The @ student @ # association #."
    turned = "the <e2>surge</e2> of a <e1>ridge</e1>"
    assert HEAD.text(HEAD.checked({"text": turned})) == "the # surge # of a @ ridge @"
    assert HEAD.checked({"text": "a b", "head": "[0, 1]", "tail": "[2, 3]"})["tail"] == [2, 3]


@pytest.mark.parametrize(
    ("head", "tail", "marked"),
    [
        ([0, 8], [0, 3], "@ # New # York @"),
        ([0, 3], [0, 8], "# @ New @ York #"),
        ([0, 8], [4, 8], "@ New # York # @"),
        ([0, 8], [0, 8], "@ # New York # @"),
    ],
)
def test_an_entity_in_another_keeps_its_marks_inside(head, tail, marked):
    assert Pair("New York", head, tail).marked() == marked


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"text": "no marks"}, "<e1>...</e1> and <e2>...</e2> once each"),
        ({"text": "<e1>a</e1> <e2>b"}, "once each"),
        ({"text": "<e1>a</e1> <e2>b</e2> <e2>c</e2>"}, "once each"),
        ({"text": "<e1></e1> <e2>b</e2>"}, "the head is empty"),
        ({"text": "a b", "head": [0, 1]}, "no field 'tail'"),
        ({"text": "a b", "head": [0, 1], "tail": [2, 9]}, "field 'tail' is no part of the text"),
        ({"text": "a b", "head": [1, 1], "tail": [2, 3]}, "field 'head' is no part of the text"),
        ({"text": "a b", "head": [0, 1.5], "tail": [2, 3]}, "field 'head' is no list of a start and an end"),
    ],
)
def test_what_is_wrong_is_said(fields, reason):
    with pytest.raises(ValueError, match=reason):
        HEAD.checked(fields)
    with pytest.raises(ValueError, match="no field 'head_type'"):
        TYPED.checked({"text": "<e1>a</e1> <e2>b</e2>", "tail_type": "x"})


def test_a_text_that_is_too_long_keeps_both_entities_and_what_is_near():
    words = [f"w{number}" for number in range(200)]
    text = " ".join(words)
    places = {word: [start := text.index(f"{word} "), start + len(word)] for word in ("w90", "w100", "w20", "w180")}

    def short(string: str) -> bool:
        return len(string) <= 120

    near = fitting(Pair(text, places["w90"], places["w100"]), short)
    assert 100 < len(near) <= 120
    assert "@ w90 @" in near
    assert "# w100 #" in near
    assert set(near.split()) <= {*words, "@", "#"}
    assert "w85" in near
    assert "w105" in near
    far = fitting(Pair(text, places["w180"], places["w20"]), short)
    assert 100 < len(far) <= 120
    assert far.startswith("# w20 # w21")
    assert " ... " in far
    assert far.endswith("w179 @ w180 @")


def test_whatever_is_cut_both_entities_stay():
    generator = random.Random(0)
    for _ in range(500):
        text = "".join(generator.choices("ab ", k=generator.randint(4, 60)))
        spans = []
        for _ in range(2):
            start = generator.randrange(len(text))
            spans.append([start, generator.randint(start + 1, len(text))])
        pair = Pair(text, *spans)
        limit = generator.randint(10, 80)
        marked = fitting(pair, lambda string, limit=limit: len(string) <= limit)
        if len(pair.marked()) <= limit:
            assert marked == pair.marked()
        for span, sign, other in zip(spans, "@#", "#@", strict=True):
            inside = marked.split(sign)[1]
            assert "".join(inside.replace(other, "").split()) == "".join(text[span[0] : span[1]].split())


@pytest.fixture(params=[save_llama, save_bert], ids=["llama", "bert"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return request.param(tmp_path / "base")


def test_a_pair_is_cut_where_its_text_was_shortened(base):
    text = "Ada <e1>Byron</e1> met <e2>Bo</e2> in town"
    whole = len(open_tokenizer(base, 64)(HEAD.text(HEAD.checked({"text": text})))["input_ids"])
    for limit, is_cut in ((whole, False), (whole - 1, True), (12, True)):
        (row,) = HEAD.encode(HEAD.checked({"text": text}), open_tokenizer(base, limit), ["met"])
        assert row.is_cut == is_cut
        assert (len(row) == whole) != is_cut


def taught(head, base: Path, directory: Path, examples: list[dict], steps: int) -> Path:
    """Save a model that knows examples by heart."""
    fields = [head.checked(each) for each in examples]
    labels = sorted({label for each in fields for label in head.classes(each)})
    tokenizer = open_tokenizer(base, 64)
    torch.manual_seed(0)
    network = head.network(base, labels).train()
    rows = [row for each in fields for row in head.encode(each, tokenizer, labels)]
    batch = head.collate(rows, tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(steps):
        head.loss(network, batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    with quiet_loading():
        network.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "head.json").write_text(head.model_dump_json())
    return directory


def test_relations_are_told_of_the_entities_that_were_found(base, tmp_path):
    text = "Ada saw Rome and Bo"
    tagged = {"words": text.split(), "tags": ["B-person", "O", "B-place", "O", "B-person"]}
    entities = taught(TokenClassification(piece="last"), base, tmp_path / "entities", [tagged], 100)
    spans = {"Ada": ([0, 3], "person"), "Rome": ([8, 12], "place"), "Bo": ([17, 19], "person")}
    asked = [("Ada", "Rome", "saw(e1,e2)"), ("Ada", "Bo", "Other"), ("Rome", "Bo", "saw(e2,e1)")]
    examples = [
        {
            "text": text,
            "head": spans[head][0],
            "tail": spans[tail][0],
            "head_type": spans[head][1],
            "tail_type": spans[tail][1],
            "label": label,
        }
        for head, tail, label in asked
    ]
    relations = taught(TYPED, base, tmp_path / "relations", examples, 200)
    found = RelationsInText(entities, relations).find(text)
    assert [(each["head"]["text"], each["tail"]["text"], each["label"]) for each in found] == [
        ("Ada", "Rome", "saw(e1,e2)"),
        ("Rome", "Bo", "saw(e2,e1)"),
    ]
    assert found[0]["head"]["type"] == "person"
    assert all(0.5 < each["probability"] <= 1 for each in found)
    near = RelationsInText(entities, relations).find(text, farthest_characters=5)
    assert {(each["head"]["text"], each["tail"]["text"]) for each in near} <= {("Ada", "Rome"), ("Rome", "Bo")}
    table = pandas.DataFrame(
        {
            "text": ["<e1>Ada</e1> saw <e2>Rome</e2> and Bo"],
            "head_type": ["person"],
            "tail_type": ["place"],
        }
    )
    service = RelationService(relations)
    (said,) = service.predict(table)
    assert said["label"] == "saw(e1,e2)"
    with pytest.raises(ValueError, match="add head_type and tail_type"):
        service.predict(list(table["text"]))


def test_relations_of_raw_texts_are_told_whichever_entity_is_marked_first(base, tmp_path):
    text = "Ada saw Rome and Bo"
    tagged = {"words": text.split(), "tags": ["B-person", "O", "B-place", "O", "B-person"]}
    told = [([0, 3], [8, 12], "saw(e1,e2)"), ([0, 3], [17, 19], "Other"), ([8, 12], [17, 19], "saw(e2,e1)")]
    examples = [{"text": text, "head": head, "tail": tail, "label": label} for head, tail, label in told]
    model = taught(HEAD, base, tmp_path / "model", examples, 200)
    assert HEAD.in_raw_texts(model, examples) == {}
    taught(TokenClassification(piece="last"), base, model / "beside" / "entities", [tagged], 100)
    true = {("saw(e1,e2)", (0, 3), (8, 12)), ("saw(e1,e2)", (17, 19), (8, 12))}
    turned = [{**examples[0], "head": [8, 12], "tail": [0, 3], "label": "saw(e2,e1)"}, *examples[1:]]
    for each in (examples, turned):
        assert HEAD.in_raw_texts(model, each) == {text: (true, true)}


def test_labels_without_directions_are_asked_for_both_ways(tmp_path):
    base = save_bert(tmp_path / "base")
    tagged = {"words": ["Ada", "Bo"], "tags": ["B-person", "B-person"]}
    entities = taught(TokenClassification(), base, tmp_path / "entities", [tagged], 100)
    examples = [
        {"text": "Ada Bo", "head": [0, 3], "tail": [4, 6], "label": "parent_of"},
        {"text": "Ada Bo", "head": [4, 6], "tail": [0, 3], "label": "child_of"},
    ]
    relations = taught(HEAD, base, tmp_path / "relations", examples, 150)
    found = RelationsInText(entities, relations).find("Ada Bo")
    assert [(each["head"]["text"], each["label"]) for each in found] == [("Ada", "parent_of"), ("Bo", "child_of")]
    assert json.loads((relations / "head.json").read_text())["types"] is False


def test_tags_inside_of_each_other_are_read():
    pair = from_tags("a <e1>b <e2>c</e2> d</e1> e")
    assert (pair.text, pair.head, pair.tail) == ("a b c d e", (2, 7), (4, 5))


DATA = Path(os.environ.get("ROOTSTOCK_TEST_DATA", "no folder is named"))


@pytest.mark.skipif(not (DATA / "semeval2010-task8").is_dir(), reason="ROOTSTOCK_TEST_DATA has no semeval2010-task8")
def test_every_example_of_a_published_set_is_read():
    from finetuning_relations import read

    for name, number in (("TRAIN_FILE.TXT", 8000), ("TEST_FILE_FULL.TXT", 2717)):
        examples = [HEAD.checked(each) for each in read(DATA / "semeval2010-task8" / name)]
        assert len(examples) == number
        assert len({each["label"] for each in examples}) == 19
        assert all(each["head"] < each["tail"] for each in examples)
