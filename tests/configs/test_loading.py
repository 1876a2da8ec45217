from pathlib import Path

import pytest

from configs.budget import BUDGET_KEYS
from configs.loading import ConfigError, load, presets, resolve, schema, to_yaml
from configs.pipeline import PipelineConfig
from configs.tuning import Choice, Range

BASE = """
seed: 3
data_preparation:
  sources: [python_documentation]
  filters:
    - kind: length
      min_words: 7
    - repetition
finetuning:
  base: some/model
  dropout: {low: 0.1, high: 0.3}
  adapter: {kind: lora}
  optimization:
    learning_rate: 3e-4
evaluation: {}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    return tmp_path


def written(folder: Path, text: str, *overrides: str) -> PipelineConfig:
    (folder / "mine.yaml").write_text(text)
    return load(str(folder / "mine.yaml"), overrides)


def refused(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        written(folder, text, *overrides)
    return str(caught.value)


def test_mappings_merge_and_lists_and_single_values_replace(folder):
    config = written(
        folder,
        "extends: base.yaml\nseed: 4\ndata_preparation:\n  filters: [repetition]\n"
        "finetuning:\n  optimization: {batch_examples: 8}\n",
    )
    assert config.seed == 4
    assert [each.kind for each in config.data_preparation.filters] == ["repetition"]
    assert config.finetuning.optimization.batch_examples == 8
    assert config.finetuning.optimization.learning_rate == 3e-4
    assert config.finetuning.base == "some/model"


def test_another_kind_drops_the_settings_of_the_old_one(folder):
    (folder / "lora.yaml").write_text("extends: base.yaml\nfinetuning:\n  adapter: {kind: lora, rank: 4}\n")
    assert load(str(folder / "lora.yaml")).finetuning.adapter.rank == 4
    assert (
        written(folder, "extends: lora.yaml\nfinetuning: {adapter: {kind: full}}\n").finetuning.adapter.kind == "full"
    )
    assert load(str(folder / "lora.yaml"), ["finetuning.adapter.kind=full"]).finetuning.adapter.kind == "full"
    same = written(folder, "extends: lora.yaml\nfinetuning: {adapter: {kind: lora}}\n")
    assert same.finetuning.adapter.rank == 4


def test_a_complete_range_or_choice_replaces_the_old_one_and_a_part_of_it_merges(folder):
    def dropout(text: str) -> object:
        return written(folder, f"extends: base.yaml\nfinetuning:\n  dropout: {text}\n").finetuning.dropout

    assert dropout("{choices: [0.0, 0.1]}") == Choice(choices=(0.0, 0.1))
    assert dropout("{high: 0.5}") == Range(low=0.1, high=0.5)
    assert dropout("0.2") == 0.2


def test_null_switches_a_section_off(folder):
    assert written(folder, "extends: base.yaml\nevaluation: null\n").evaluation is None
    assert written(folder, "extends: base.yaml\n", "evaluation=null").evaluation is None


def test_extends_is_relative_to_its_own_file(folder):
    (folder / "deep").mkdir()
    (folder / "deep" / "middle.yaml").write_text("extends: ../base.yaml\nseed: 9\n")
    config = written(folder, "extends: deep/middle.yaml\n")
    assert (config.seed, config.finetuning.base) == (9, "some/model")


def test_the_result_stands_alone(folder):
    config = written(folder, "extends: base.yaml\n")
    assert config.extends is None
    assert PipelineConfig.model_validate(config.model_dump(mode="json")) == config


def test_a_file_is_named_after_itself_unless_it_says_otherwise(folder):
    assert written(folder, "extends: base.yaml\n").name == "mine"
    assert written(folder, "extends: base.yaml\nname: other\n").name == "other"


def test_overrides_reach_into_lists_those_of_a_default_too(folder):
    config = written(folder, "extends: base.yaml\n", "data_preparation.filters.0.min_words=3")
    assert [each.kind for each in config.data_preparation.filters] == ["length", "repetition"]
    assert config.data_preparation.filters[0].min_words == 3
    shorthand = written(folder, "extends: base.yaml\n", "data_preparation.filters.1.max_copied_lines=0.5")
    assert shorthand.data_preparation.filters[1].max_copied_lines == 0.5
    default = written(folder, "data_preparation: {}\n", "data_preparation.filters.0.min_words=3")
    assert [(each.kind, each.min_words) for each in default.data_preparation.filters] == [("length", 3)]


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1E3", 1000.0), ("0.1", 0.1), ("{low: 1e-5, high: 1e-3}", Range(low=1e-5, high=1e-3))],
)
def test_numbers_of_overrides_are_numbers(folder, text, value):
    config = written(folder, "extends: base.yaml\n", f"finetuning.optimization.learning_rate={text}")
    assert config.finetuning.optimization.learning_rate == value


def test_of_several_bases_the_last_stands_over_the_others(folder):
    (folder / "second.yaml").write_text("seed: 8\nfinetuning: {dropout: 0.25}\n")
    first, second = written(folder, "extends: base.yaml\n"), written(folder, "extends: [base.yaml, second.yaml]\n")
    assert (second.seed, second.finetuning.dropout) == (8, 0.25)
    assert second.finetuning.base == first.finetuning.base
    assert written(folder, "extends: [second.yaml, base.yaml]\n").seed == first.seed
    assert written(folder, "extends: [base.yaml, second.yaml]\nseed: 9\n").seed == 9


def test_a_later_override_wins(folder):
    assert written(folder, "extends: base.yaml\n", "seed=1", "seed=2").seed == 2


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("finetunig: {}\n", ["finetunig", "did you mean 'finetuning'", "mine.yaml"]),
        (
            "extends: base.yaml\nfinetuning: {drpout: 1}\n",
            ["finetuning: unknown key 'drpout'", "'dropout'", "mine.yaml"],
        ),
        ("extends: base.yaml\nfinetuning: {adapter: lra}\n", ["finetuning.adapter", "'lora'", "mine.yaml"]),
        ("extends: base.yaml\nfinetuning: {context_length: 2}\n", ["finetuning.context_length", "8", "not 2"]),
        ("extends: bse.yaml\n", ["extends", "bse.yaml: no such file", "mine.yaml"]),
        ("extends: {a: 1}\n", ["extends", "{'a': 1}"]),
        ("extends: [base.yaml, 1]\n", ["extends", "['base.yaml', 1]"]),
        ("extends: [base.yaml, mine.yaml]\n", ["extends itself"]),
        ("extends: mine.yaml\n", ["extends itself"]),
        ("seed: 1\nseed: 2\n", ["mine.yaml, line 2", "'seed' is repeated"]),
        ("seed: 1\n  name: x\n", ["mine.yaml, line 2"]),
        ("", ["mine.yaml", "nothing"]),
        ("- 1\n", ["mine.yaml", "a list"]),
    ],
)
def test_a_mistake_in_a_file_is_named_with_its_place_and_remedy(folder, text, words):
    message = refused(folder, text)
    assert all(word in message for word in words), message
    assert "pydantic" not in message
    assert "https://" not in message


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("finetuning.drpout=1", ["'drpout'", "'dropout'", "(--set)"]),
        ("finetuning.dropout=high", ["finetuning.dropout", "not 'high'", "(--set)"]),
        ("data_preparation.filters.5.min_words=1", ["entries 0 to 1", "'5'"]),
        ("seed.x=1", ["3 has no setting 'x'"]),
        ("seed", ["path.to.key=value"]),
        ("seed=[1", ["--set seed"]),
        (
            "data_preparation.sources=notes.txt",
            ["a list, not 'notes.txt'; write [{kind: text_files, path: notes.txt}]"],
        ),
        ("data_preparation.sources=a.jsonl", ["write [{kind: jsonl, path: a.jsonl}] (--set)"]),
        (
            "data_preparation.sources={kind: jsonl, path: a}",
            ["must be a list", "write [{kind: jsonl, path: a}] (--set)"],
        ),
        ("data_preparation.sources=[]", ["needs at least one entry; write [python_documentation]"]),
        ("data_preparation.filters=length", ["write [length]"]),
        ("evaluation.metrics=accuracy", ["evaluation.metrics", "write [accuracy]"]),
    ],
)
def test_a_mistake_in_an_override_is_named(folder, override, words):
    message = refused(folder, "extends: base.yaml\n", override)
    assert all(word in message for word in words), message


def test_a_wrong_entry_of_a_list_has_one_line(folder):
    message = refused(folder, "extends: base.yaml\n", "data_preparation.sources=[text_file]")
    assert message == "data_preparation.sources.0: unknown kind 'text_file'; did you mean 'text_files'? (--set)"


def test_every_problem_has_its_line_with_the_file_that_wrote_it(folder):
    (folder / "wrong.yaml").write_text("seed: -1\n")
    message = refused(folder, "extends: wrong.yaml\nfinetuning: {base: x, context_length: 2}\n")
    seed, length = sorted(message.splitlines(), key=lambda line: line.startswith("finetuning"))
    assert seed.startswith("seed: ")
    assert "wrong.yaml" in seed
    assert length.startswith("finetuning.context_length: ")
    assert "mine.yaml" in length


def test_a_value_that_fits_no_branch_of_a_union_has_one_line(folder):
    assert len(refused(folder, "extends: base.yaml\n", "finetuning.dropout=[1]").splitlines()) == 1
    message = refused(folder, "extends: base.yaml\nfinetuning: {dropout: {low: 0.1, hihg: 0.2}}\n")
    assert "'hihg'" in message
    assert "'high'" in message
    (line,) = refused(folder, "extends: base.yaml\n", "finetuning.adapter={kind: lora, rank: 0}").splitlines()
    assert line.startswith("finetuning.adapter.rank: input should be greater")


def test_what_a_sweep_would_fail_at_is_named_with_the_file_that_wrote_it(folder):
    (folder / "open.yaml").write_text(
        "finetuning: {adapter: {choices: [full, {kind: lora, rank: {choices: [4, 0]}}]}}\n"
    )
    message = refused(folder, "extends: [base.yaml, open.yaml]\n", "finetuning.dropout={low: 0, high: 1}")
    rank, dropout = message.splitlines()
    assert rank.startswith("finetuning.adapter.rank: a sweep would fail at 0: ")
    assert rank.endswith("open.yaml)")
    assert dropout.startswith("finetuning.dropout: a sweep would fail at 1.0: ")
    assert dropout.endswith("(--set)")


def test_an_unknown_preset_is_refused():
    with pytest.raises(ConfigError, match="no preset 'no_such_preset'"):
        load("no_such_preset")


def test_a_dictionary_with_extends_is_a_whole_configuration(folder):
    config = PipelineConfig.model_validate({"extends": str(folder / "base.yaml"), "finetuning": {"dropout": 0.2}})
    assert (config.seed, config.finetuning.dropout, config.finetuning.base) == (3, 0.2, "some/model")
    assert resolve({"seed": 5}) == {"seed": 5}


def test_what_is_shown_loads_back_to_the_same(folder):
    config = written(folder, "extends: base.yaml\nname: '3e4'\n")
    (folder / "shown.yaml").write_text(to_yaml(config))
    assert load(str(folder / "shown.yaml")) == config


def test_every_preset_loads_under_its_own_name():
    for name in presets():
        assert load(name).name == name


def test_the_schema_shows_kinds_and_help():
    definitions = schema()["$defs"]
    assert "length" in str(definitions["Length"]["properties"]["kind"])
    assert definitions["Length"]["properties"]["min_words"]["description"]


@pytest.mark.parametrize("key", BUDGET_KEYS)
def test_a_budget_replaces_the_one_below_it(folder, key):
    budgets = dict.fromkeys(BUDGET_KEYS)
    below = load("gpt_10m").pretraining.optimization
    assert below.budget_tokens is not None

    def seen(config):
        optimization = config.pretraining.optimization
        assert optimization.learning_rate == below.learning_rate
        return {each: getattr(optimization, each) for each in BUDGET_KEYS}

    assert seen(load("gpt_10m", [f"pretraining.optimization.{key}=10"])) == budgets | {key: 10}
    text = f"extends: gpt_10m\npretraining: {{optimization: {{{key}: 20}}}}\n"
    assert seen(written(folder, text)) == budgets | {key: 20}
    assert seen(written(folder, text, "pretraining.optimization.budget_minutes=5")) == budgets | {"budget_minutes": 5}
    empty = [f"pretraining.optimization.{each}=null" for each in BUDGET_KEYS if each != key]
    assert seen(written(folder, text, *empty)) == budgets | {key: 20}


def test_two_budgets_in_one_place_are_refused_with_the_remedy(folder):
    text = "extends: gpt_10m\npretraining: {optimization: {budget_steps: 3, budget_minutes: 4}}\n"
    message = refused(folder, text)
    assert "not budget_steps, budget_minutes; keep one and leave the others out" in message
    assert "mine.yaml" in message
