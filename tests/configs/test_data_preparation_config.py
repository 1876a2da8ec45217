from __future__ import annotations

import subprocess
import sys

import pytest

from configs.data_preparation import DataPreparationConfig, SplitConfig
from configs.tokenization import TokenizationConfig


def test_defaults_are_members_of_the_families() -> None:
    config = DataPreparationConfig()
    assert [each.kind for each in config.sources] == ["python_documentation"]
    assert [each.kind for each in config.deduplication] == ["exact"]
    assert TokenizationConfig().tokenizer.vocabulary_size == 8192
    assert DataPreparationConfig.model_validate_json(config.model_dump_json()) == config


def test_a_filter_for_an_unknown_source_is_refused_with_the_nearest() -> None:
    filters = [{"kind": "repetition", "sources": ["python_documentation/docstring"]}]
    with pytest.raises(ValueError, match="did you mean 'python_documentation/docstrings'"):
        DataPreparationConfig.model_validate({"filters": filters})
    DataPreparationConfig.model_validate({"filters": [{"kind": "repetition", "sources": ["python_documentation"]}]})


def test_a_split_that_leaves_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves nothing to train on"):
        SplitConfig(validation_fraction=0.5, test_fraction=0.5)


def test_vocabulary_is_a_multiple_of_64() -> None:
    with pytest.raises(ValueError, match="multiple of 64"):
        TokenizationConfig.model_validate({"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 1000}})


def test_settings_import_nothing_heavy() -> None:
    code = "import sys, configs.data_preparation, configs.tokenization; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "datasets", "numpy", "pyarrow", "tokenizers", "ftfy"} & set(loaded)


def test_texts_are_looked_at_again_where_passages_were_cut_out() -> None:
    for deduplication, groups in {
        (): [()],
        ("exact", "minhash"): [(0, 1)],
        ("exact", "paragraphs"): [(0, 1)],
        ("exact", "paragraphs", "minhash", "lines", "exact"): [(0, 1), (2, 3), (4,)],
    }.items():
        assert DataPreparationConfig(deduplication=deduplication).deduplication_groups() == groups
