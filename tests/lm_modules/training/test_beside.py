"""Several heads on one backbone: a step's gradient is the weighted sum of theirs, and every model stays stock."""

from __future__ import annotations

import copy
import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from beside_sets import write_sets
from killed_finetuning import CODE
from safetensors.torch import load_file
from stock_bases import save_base
from tiny_models import save_bert, save_labelled, save_llama, save_t5

from configs.finetuning import FinetuningConfig
from configs.tuning import fixed, search_space
from lm_modules.data.labelled_data import collect
from lm_modules.data.labelled_examples import fingerprint, read_examples
from lm_modules.evaluation.predictions import predict_with_directory
from lm_modules.hardware.memory import TooLarge
from lm_modules.heads.sequence_classification import SequenceClassification
from lm_modules.heads.token_classification import TokenClassification
from lm_modules.model.stock import open_tokenizer
from lm_modules.training import trainer
from lm_modules.training.finetuning import finetune
from lm_modules.training.finetuning_module import FineTuning, parameter_groups
from lm_modules.training.reporting import keep_going
from lm_modules.training.shared_backbone import SharedBackbone, depths_of
from lm_modules.training.subjects import Subject

torch.set_num_threads(1)
BASES = {"llama": save_llama, "bert": save_bert, "t5": save_t5}


def settings(sets: dict, **changes: object) -> FinetuningConfig:
    optimization = {"learning_rate": 5e-3, "layer_decay": 0.9, "epochs": 2, "batch_examples": 16}
    optimization |= changes.pop("optimization", {})  # type: ignore[arg-type]
    common = {"dropout": 0.1, "context_length": 32, "optimization": optimization}
    return FinetuningConfig.model_validate({**sets, **common, **changes})


def collected(config: FinetuningConfig, directory: Path) -> Path:
    beside = {name: (each.data, each.head) for name, each in config.beside.items()}
    collect(config.data, config.head, directory, seed=0, beside=beside)
    return directory


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict:
    return write_sets(tmp_path_factory.mktemp("sets"))


@pytest.fixture(scope="module")
def data(sets: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return collected(settings(sets), tmp_path_factory.mktemp("collected") / "data")


@pytest.fixture(scope="module", params=[*BASES, "gpt2"])
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp(request.param)
    if request.param == "gpt2":
        return save_base("gpt2", place)
    return BASES[request.param](place)


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_bert(tmp_path_factory.mktemp("bert"))


def module_of(config: FinetuningConfig, base: Path, data: Path) -> tuple[FineTuning, Subject, Subject]:
    """Return what one step is done with, before any."""
    main = Subject(config, data, base)
    entities = config.beside["entities"]
    other = Subject(config.of_beside("entities"), data / "beside" / "entities", base, "entities", entities.weight)
    torch.manual_seed(0)
    tokenizer = open_tokenizer(base, config.context_length)
    stock = main.open(base, from_random_weights=False)
    backbone = SharedBackbone(stock)
    backbone.add("entities", other.open(base, from_random_weights=False))
    main.network = config.adapter.apply(stock)
    backbone.share(stock)
    for each in (main, other):
        each.read(tokenizer, seed=0)
    trained = backbone.around(main.network)
    module = FineTuning(
        main.network, main.head, config.optimization, 10, 0, tokenizer.pad_token_id, trained, [other]
    ).eval()
    module.manual_backward = lambda loss: loss.backward()  # type: ignore[method-assign]  # there is no Trainer
    return module, main, other


@pytest.mark.parametrize("at_once", [None, 5])
def test_a_step_has_the_weighted_sum_of_the_gradients_of_stock_models(base, sets, data, at_once):
    config = settings(sets, dropout=0.0, optimization={"micro_batch_examples": at_once})
    module, main, other = module_of(config, base, data)
    expected: dict[int, torch.Tensor] = {}
    losses = []
    for subject, weight in ((main, 1.0), (other, 0.5)):
        # a network of its own with these weights, and the loss that transformers itself computes
        alone = subject.head.auto_class(base).from_config(copy.deepcopy(subject.network.config)).eval()
        alone.load_state_dict(subject.network.state_dict())
        batch = subject.head.collate(subject.rows(0), module.pad_token_id)
        batch.pop("asked", None)
        loss = alone(**batch).loss
        (weight * loss).backward()
        losses.append(weight * loss)
        of_alone = dict(alone.named_parameters())
        for name, parameter in subject.network.named_parameters():
            gradient = of_alone[name].grad if of_alone[name].grad is not None else torch.zeros_like(parameter)
            expected[id(parameter)] = expected.get(id(parameter), 0) + gradient
    loss = module._gradient(0, main.rows(0), [other.rows(0)])
    torch.testing.assert_close(loss, sum(losses).detach(), atol=1e-5, rtol=1e-5)
    compared = 0
    for name, parameter in module.trained.named_parameters():
        found = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        torch.testing.assert_close(found, expected[id(parameter)], atol=1e-5, rtol=1e-4, msg=name)
        compared += 1
    assert compared == len(expected)


def test_all_blocks_and_the_embedding_are_held_once_and_heads_apart(base, sets, data):
    module, main, other = module_of(settings(sets), base, data)
    own = {id(each) for each in other.network.parameters()} - {id(each) for each in main.network.parameters()}
    names = [name for name, each in other.network.named_parameters() if id(each) in own]
    assert names
    assert all("classifier" in name or "score" in name for name in names)
    depths = depths_of(module.trained)
    top = max(depths.values())
    assert {depths[name] for name in depths if name.startswith("beside")} == {top}
    rates = {id(p): g["lr"] for g in parameter_groups(module.trained, module.optimization) for p in g["params"]}
    assert len(rates) == len(list(module.trained.parameters()))
    assert all(rates[each] == module.optimization.learning_rate for each in own)


@pytest.mark.filterwarnings("ignore:fan_in_fan_out is set to False")
@pytest.mark.parametrize("adapter", ["full", "lora"])
def test_all_saved_models_are_stock_and_hold_the_same_backbone(base, sets, data, tmp_path, adapter):
    reported = []
    config = settings(sets, adapter=adapter)
    result = finetune(
        config, base=base, data=data, workdir=tmp_path, seed=0, report=lambda _, values: bool(reported.append(values))
    )
    directories = Path(result["model"]), Path(result["model"]) / "beside" / "entities"
    for directory, kind in zip(directories, ("relation_extraction", "token_classification"), strict=True):
        assert json.loads((directory / "head.json").read_text())["kind"] == kind
        assert (directory / "README.md").is_file()
    main, other = (load_file(each / "model.safetensors") for each in directories)
    # poolers and decoders are of one of them alone; classifiers may have one name and two shapes
    both = [name for name in main if name in other and "classif" not in name and "score" not in name]
    assert len(both) > 10
    assert all(torch.equal(main[name], other[name]) for name in both)
    start = load_file(base / "model.safetensors")
    moved = [name for name in both if name in start and not torch.equal(main[name], start[name])]
    assert moved or not set(both) & set(start)
    found = reported[-1]
    assert {"validation/entities/entity_f1", "validation/entities/loss", "validation/relation_f1"} <= set(found)
    examples = read_examples(data / "beside" / "entities", "validation")
    answers = predict_with_directory(directories[1], examples)
    pairs = [
        pair
        for answer, each in zip(answers, examples, strict=True)
        for pair in zip(answer.value, each.fields["tags"], strict=True)
    ]
    right = sum(found == tag for found, tag in pairs) / len(pairs)
    assert right == pytest.approx(
        result["validation/entities/tag_accuracy"], abs=0.05
    )  # float32 here, maybe bf16 there
    assert "| entity_f1 |" in (directories[1] / "README.md").read_text()


def test_a_killed_fine_tuning_of_two_heads_ends_with_the_same_weights_to_the_bit(
    bert, sets, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(trainer, "WORTHWHILE_SPEEDUP", 1e9)
    config = settings(sets, optimization={"epochs": 3})
    whole = finetune(config, base=bert, data=data, workdir=tmp_path / "whole", seed=3, report=keep_going)
    arguments = [config.model_dump_json(), str(bert), str(data), str(tmp_path / "killed"), "4"]
    with subprocess.Popen([sys.executable, "-c", CODE, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        killed_at = 0
        while killed_at < 4:
            killed_at = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
    steps = []
    resumed = finetune(
        config,
        base=bert,
        data=data,
        workdir=tmp_path / "killed",
        seed=3,
        report=lambda step, values: "validation/loss" in values and bool(steps.append(step)),  # type: ignore[func-returns-value]
    )
    assert steps[0] == killed_at  # it was killed before it had saved what it reported
    for place in (".", "beside/entities"):
        first, second = (load_file(Path(each["model"]) / place / "model.safetensors") for each in (whole, resumed))
        assert all(torch.equal(first[name], second[name]) for name in first)
    assert {k: v for k, v in whole.items() if "/" in k} == {k: v for k, v in resumed.items() if "/" in k}


def test_where_memory_ends_the_rows_of_all_heads_are_fewer_at_once(bert, sets, data, monkeypatch):
    module, main, other = module_of(settings(sets, dropout=0.0), bert, data)
    rows = main.rows(0), [other.rows(0)]
    whole = module._gradient(0, *rows)
    assert whole is not None
    before = {name: each.grad.clone() for name, each in module.trained.named_parameters() if each.grad is not None}
    module._halve(max(map(len, (rows[0], *rows[1]))))
    assert module.micro_batch_examples == 8
    assert all(each.grad is None for each in module.trained.parameters())
    torch.testing.assert_close(module._gradient(0, *rows), whole, atol=1e-5, rtol=1e-5)
    for name, each in module.trained.named_parameters():
        if name in before:
            torch.testing.assert_close(each.grad, before[name], atol=1e-5, rtol=1e-4)
    module.micro_batch_examples = 1
    with pytest.raises(TooLarge, match="single example"):
        module._halve(16)


def test_both_heads_learn(bert, sets, data, tmp_path):
    quick = {"learning_rate": 3e-3, "layer_decay": 1.0, "epochs": 14, "batch_examples": 8}
    config = settings(sets, dropout=0.0, optimization={**quick, "early_stopping_patience": None})
    result = finetune(config, base=bert, data=data, workdir=tmp_path, seed=0, report=keep_going)
    assert result["validation/entities/entity_f1"] > 0.9
    assert result["validation/relation_f1"] > 0.9


def test_every_head_beside_goes_round_its_own_examples(bert, sets, data):
    _, _, other = module_of(settings(sets), bert, data)
    steps = other.batches.steps_per_epoch
    first, second = (
        [id(row) for step in range(start, start + steps) for row in other.rows(step)] for start in (0, steps)
    )
    assert sorted(first) == sorted(second) == sorted(map(id, other.encoded))
    assert first != second


def test_the_weight_is_searched(sets):
    sets = {**sets, "beside": {"entities": {**sets["beside"]["entities"], "weight": {"low": 0.1, "high": 1.0}}}}
    config = settings(sets)
    assert set(search_space(config)) == {"beside.entities.weight"}
    assert fixed(config, {"beside.entities.weight": 0.3}).beside["entities"].weight == 0.3


def test_another_weight_is_another_fine_tuning(bert, sets, data, tmp_path):
    def run(weight: float) -> None:
        entities = {**sets["beside"]["entities"], "weight": weight}
        config = settings({**sets, "beside": {"entities": entities}}, optimization={"epochs": 1})
        finetune(config, base=bert, data=data, workdir=tmp_path, seed=1, report=keep_going)

    run(0.5)
    run(0.5)
    with pytest.raises(ValueError, match="other settings or data"):
        run(0.25)


def test_examples_beside_change_the_fingerprint(tmp_path):
    alone = save_labelled(tmp_path / "alone")
    before = fingerprint(alone)
    save_labelled(alone / "beside" / "more", seed=1)
    assert fingerprint(alone) != before
    lines = (alone / "beside" / "more" / "train.jsonl").read_text()
    with_more = fingerprint(alone)
    (alone / "beside" / "more" / "train.jsonl").write_text(lines.replace("cat", "dog"))
    assert fingerprint(alone) != with_more


def test_blocks_that_the_main_network_lacks_are_refused(tmp_path):
    base = save_t5(tmp_path)
    tagger, classifier = (
        TokenClassification().network(base, ["O", "B-x"]),
        SequenceClassification().network(base, ["a", "b"]),
    )
    with pytest.raises(ValueError, match=r"finetuning\.beside\.topics: T5ForSequenceClassification has blocks that T5"):
        SharedBackbone(tagger).add("topics", classifier)
    SharedBackbone(classifier).add("entities", tagger)
    assert tagger.transformer.encoder is classifier.transformer.encoder


def test_random_weights_are_shared_as_well(bert, sets, data, tmp_path):
    config = settings(sets, adapter="lora", optimization={"epochs": 1})
    result = finetune(
        config, base=bert, data=data, workdir=tmp_path, seed=1, report=keep_going, from_random_weights=True
    )
    main, other = (load_file(Path(result["model"]) / each / "model.safetensors") for each in (".", "beside/entities"))
    name = "bert.encoder.layer.0.output.dense.weight"
    assert torch.equal(main[name], other[name])
    assert not torch.allclose(main[name], load_file(bert / "model.safetensors")[name.removeprefix("bert.")], atol=1e-3)
