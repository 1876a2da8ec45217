"""What every head must do, on a decoder, an encoder and an encoder-decoder."""

from __future__ import annotations

import importlib
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas
import pytest
import torch
from head_examples import EXAMPLES, SETTINGS
from tiny_models import save_bert, save_gemma, save_llama, save_t5

from configs.component import members
from lm_modules.data.documents import Example
from lm_modules.evaluation.predictions import predict
from lm_modules.evaluation.scores import score
from lm_modules.heads import Encoded, Head
from lm_modules.model.stock import open_tokenizer, quiet_loading

torch.set_num_threads(1)
FAMILY = members("lm_modules.heads")
METRICS = members("lm_modules.evaluation.metrics")
BASES: dict[str, Callable[[Path], Path]] = {"decoder": save_llama, "encoder": save_bert, "encoder_decoder": save_t5}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test over every head, on every base that can answer as it asks."""
    if "base" in metafunc.fixturenames:
        fitting = [(kind, base) for kind in FAMILY for base in BASES if base in FAMILY[kind].architectures]
        metafunc.parametrize(("head", "base"), fitting, indirect=True)
    elif "head" in metafunc.fixturenames:
        metafunc.parametrize("head", FAMILY, indirect=True)


@pytest.fixture
def head(request: pytest.FixtureRequest) -> Head:
    return FAMILY[request.param].model_validate(SETTINGS.get(request.param, {}))


@pytest.fixture
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return BASES[request.param](tmp_path / "base")


def examples_of(head: Head) -> list[Example]:
    return [Example(str(number), head.checked(fields)) for number, fields in enumerate(EXAMPLES[head.kind])]


def labels_of(head: Head) -> list[str]:
    return sorted({label for each in examples_of(head) for label in head.classes(each.fields)})


def rows_of(head: Head, examples: list[Example], tokenizer) -> list[list[Encoded]]:
    return [head.encode(each.fields, tokenizer, labels_of(head)) for each in examples]


def test_learns_three_examples_by_heart_and_says_so(head, base):
    examples, labels, tokenizer = examples_of(head), labels_of(head), open_tokenizer(base, 64)
    head = head.fitted([each.fields for each in examples])
    torch.manual_seed(0)
    network = head.network(base, labels)
    encoded = head.prepare(network, rows_of(head, examples, tokenizer), tokenizer.pad_token_id)
    batch = head.collate([each for several in encoded for each in several], tokenizer.pad_token_id)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    first = head.loss(network, batch).item()
    for _ in range(200):
        loss = head.loss(network.train(), batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < first / 4
    answers = predict(head, network, tokenizer, examples, encoded)
    references = [head.reference(each.fields) for each in examples]
    best = next(METRICS[kind]() for kind in head.metrics if METRICS[kind].higher_is_better)
    assert score(best, [each.value for each in answers], references, labels) == pytest.approx(best.best, rel=0.01)
    if head.gives_probability:
        assert all(0.5 < each.probability <= 1 for each in answers)
    else:
        assert {each.probability for each in answers} == {None}
    num_targets = sum(each.num_targets for each in answers)
    mean = sum(each.loss * each.num_targets for each in answers) / num_targets
    # a loss that can fall to nothing, as a divergence can, ends as the rounding of numbers near one
    assert mean == pytest.approx(head.loss(network.eval(), batch).item(), rel=1e-4, abs=1e-6)


def test_the_answer_does_not_depend_on_the_padding(head, base):
    torch.manual_seed(0)
    labels, tokenizer = labels_of(head), open_tokenizer(base, 64)
    network = head.network(base, labels).eval()
    encoded = head.prepare(network, rows_of(head, examples_of(head), tokenizer), tokenizer.pad_token_id)
    rows = [each for several in encoded for each in several]
    together = head.predict(network, head.collate(rows, tokenizer.pad_token_id))
    for row, beside in zip(rows, together, strict=True):
        (alone,) = head.predict(network, head.collate([row], tokenizer.pad_token_id))
        assert alone.loss == pytest.approx(beside.loss, rel=1e-4)
        assert alone.probability == pytest.approx(beside.probability, abs=1e-6)


def test_the_losses_of_rows_add_up_to_that_of_the_batch(head, base):
    torch.manual_seed(0)
    labels, tokenizer = labels_of(head), open_tokenizer(base, 64)
    network = head.network(base, labels).eval()
    encoded = head.prepare(network, rows_of(head, examples_of(head), tokenizer), tokenizer.pad_token_id)
    rows = [each for several in encoded for each in several]

    def total(some: list[Encoded]) -> torch.Tensor:
        return head.loss(network, head.collate(some, tokenizer.pad_token_id)) * head.num_targets(some)

    torch.testing.assert_close(sum(total([row]) for row in rows), total(rows), atol=1e-4, rtol=1e-5)


def test_long_and_empty_texts_are_encoded_within_the_limit(head, base):
    tokenizer = open_tokenizer(base, 16)
    for text in ("", "word " * 1000, "\N{GRINNING FACE}" * 50):
        fields = {name: _with_text(value, text) for name, value in examples_of(head)[0].fields.items()}
        for row in head.encode(head.asked(fields), tokenizer, labels_of(head)):
            assert 1 <= len(row.token_ids) <= 16


def _with_text(value, text: str):
    """Return the value of a field with another text in it, if it holds one; a message holds one as its content."""
    if isinstance(value, list):
        return [_with_text(each, text) for each in value]
    if isinstance(value, dict):
        return {**value, "content": text} if "content" in value else value
    return text if isinstance(value, str) else value


def test_a_field_that_is_missing_or_of_another_type_is_named(head):
    whole = EXAMPLES[head.kind][0]
    for name in (*head.inputs, head.target):
        for fields in ({**whole, name: {"a": 1.5}}, {**whole, name: None}):
            with pytest.raises(ValueError, match=name):
                head.checked(fields)
        if name != head.target:
            with pytest.raises(ValueError, match=name):
                head.checked({other: value for other, value in whole.items() if other != name})
    assert head.checked(head.checked(whole)) == head.checked(whole)


def test_a_base_that_cannot_answer_is_refused(head, tmp_path):
    for architecture, save in BASES.items():
        base = save(tmp_path / architecture)
        if architecture in head.architectures:
            head.require_fitting(base)
        else:
            with pytest.raises(ValueError, match=head.kind):
                head.network(base, labels_of(head))


def test_equal_seeds_give_equal_networks(head, base):
    networks = []
    for _ in range(2):
        torch.manual_seed(7)
        networks.append(head.network(base, labels_of(head), from_random_weights=True))
    for (name, first), second in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
        assert torch.equal(first, second), name


def test_loading_says_nothing(head, base, capfd):
    head.network(base, labels_of(head))
    assert capfd.readouterr() == ("", "")


def test_survives_json_and_pickle(head):
    assert type(head).model_validate_json(head.model_dump_json()) == head
    assert pickle.loads(pickle.dumps(head)) == head
    assert type(head).__doc__


def test_its_card_shows_python_and_its_words_name_what_there_is(head):
    compile(head.usage, head.kind, "exec")
    assert set(head.metrics) <= set(METRICS)
    assert f"{head.service}_service.py" in {path.name for path in Path("lm_modules/serving").iterdir()}


STORM = {"text": "The <e1>storm</e1> caused <e2>floods</e2>."}
QUESTION = {"question": "Who wrote it?", "context": "It was written by Ada in London."}
PAIR = {"text": "A man sleeps.", "text_pair": "Somebody is awake."}
ON_CARDS: list[tuple[str, dict[str, Any], dict[str, str]]] = [
    ("sequence_classification", {}, {"text": "The text to classify."}),
    ("sequence_classification", {"multi_label": True}, {"text": "The text to classify."}),
    ("pair_classification", {}, PAIR),
    ("pair_classification", {"multi_label": True}, PAIR),
    ("token_classification", {}, {"words": "Rick and Morty met in Rome ."}),
    ("token_classification", {"piece": "last"}, {"words": "Rick and Morty met in Rome ."}),
    ("relation_extraction", {}, STORM),
    ("relation_extraction", {"types": True}, {**STORM, "head_type": "event", "tail_type": "event"}),
    ("regression", {}, {"text": "A fine film."}),
    ("extractive_qa", {}, QUESTION),
    ("extractive_qa", {"no_answer_threshold": None, "max_answer_tokens": 9}, QUESTION),
    ("extractive_qa", {"no_answer_threshold": -1000.0}, QUESTION),
]
"""Heads and settings, with what their cards ask."""
SAVE_FOR_CARDS: dict[str, Callable[[Path], Path]] = {
    **BASES,
    "encoder that is told which of two texts": partial(save_bert, tells_texts=True),
    "decoder without a class for questions": save_gemma,
}


@pytest.mark.parametrize("save", SAVE_FOR_CARDS, ids=SAVE_FOR_CARDS)
@pytest.mark.parametrize(("kind", "settings", "asked"), ON_CARDS)
def test_the_lines_of_the_card_answer_as_the_service_does(kind, settings, asked, save, tmp_path):
    head, base = FAMILY[kind].model_validate(settings), SAVE_FOR_CARDS[save](tmp_path / "base")
    torch.manual_seed(0)
    network = head.network(base, [] if kind in ("regression", "extractive_qa") else ["B-x", "I-x", "O", "y"])
    with torch.no_grad():
        for each in network.parameters():  # what it says hangs on every token
            each.mul_(8 if each.ndim > 1 else 1)
    tokenizer, directory = open_tokenizer(base, 64), tmp_path / "model"
    with quiet_loading():
        network.save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    (directory / "head.json").write_text(head.model_dump_json())
    *lines, last = head.usage_of(network, tokenizer).splitlines()
    names: dict[str, Any] = {"directory": str(directory)}
    exec("\n".join(lines), names)
    said = eval(last, names)
    module = importlib.import_module(f"lm_modules.serving.{head.service}_service")
    service = getattr(module, "".join(word.capitalize() for word in f"{head.service}_service".split("_")))(directory)
    if kind == "token_classification":
        words = asked["words"].split()
        assert said == list(zip(words, service.tags(words)[0], strict=True))
        return
    (answer,) = service.predict(pandas.DataFrame([asked]))
    if kind == "regression":
        assert said == pytest.approx(answer, rel=1e-5)
    elif kind == "extractive_qa":
        assert said == answer["answer"]
    elif settings.get("multi_label"):
        assert sorted(said) == sorted(filter(None, answer["label"].split(", ")))
    else:
        said = said[0] if isinstance(said, list) else said
        assert said["label"] == answer["label"]
        assert said["score"] == pytest.approx(answer["probability"], abs=1e-5)
