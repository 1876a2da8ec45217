"""A corpus comes out the same whoever works on its parts."""

import json
import random
from contextlib import nullcontext
from unittest.mock import patch

import pytest
from distributed import LocalCluster

from configs.data_preparation import DataPreparationConfig
from configs.tokenization import TokenizationConfig
from lm_modules.data import token_parts
from lm_modules.data.packed import pack
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("texts")
    draw = random.Random(0)
    words = [letter * count for letter in "abcdefghijklmnopqrst" for count in range(1, 6)]
    for number in range(3):
        rows = [{"text": " ".join(draw.choices(words, k=12))} for _ in range(60)]
        (folder / f"{number}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folder


def corpus(folder, output, engine):
    config = {
        "sources": [{"kind": "jsonl", "path": str(folder)}],
        "deduplication": ["exact", "paragraphs", "minhash"],
        "part_megabytes": 0.003,
        "engine": engine,
    }
    prepare(DataPreparationConfig.model_validate(config), output, seed=0)
    return {str(path.relative_to(output)): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_every_engine_gives_the_same_bytes(folder, tmp_path):
    alone = corpus(folder, tmp_path / "alone", {"kind": "processes", "count": 1})
    assert len([name for name in alone if name.startswith("train/")]) > 3
    assert corpus(folder, tmp_path / "processes", {"kind": "processes", "count": 3}) == alone
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster:
        engine = {"kind": "dask", "address": cluster.scheduler_address}
        assert corpus(folder, tmp_path / "dask", engine) == alone
        assert tokens(tmp_path / "dask", tmp_path / "there", engine) == tokens(tmp_path / "alone", tmp_path / "here")


def tokens(corpus, output, engine=None):
    config = TokenizationConfig.model_validate({"tokenizer": {"kind": "byte_bpe", "vocabulary_size": 320}})
    engine = engine and DataPreparationConfig.model_validate({"engine": engine}).engine
    output.mkdir()
    train_tokenizer(config, corpus, output / "tokenizer")
    # here none is encoded where a cluster does it
    with patch.object(token_parts, "_encode", side_effect=AssertionError) if engine else nullcontext():
        pack(config, corpus, output / "tokenizer", output / "tokens", output / "parts", engine)
    return {path.name: path.read_bytes() for path in (output / "tokens").iterdir()}


def test_a_scheduler_that_does_not_answer_is_a_mistake(folder, tmp_path):
    with pytest.raises(ValueError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        corpus(folder, tmp_path / "none", {"kind": "dask", "address": "tcp://127.0.0.1:9", "timeout_seconds": 1})
