"""A corpus comes out the same whoever works on its parts."""

import json
import random

import pytest
from distributed import LocalCluster

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.preparation import prepare


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


def test_a_scheduler_that_does_not_answer_is_a_mistake(folder, tmp_path):
    with pytest.raises(ValueError, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9"):
        corpus(folder, tmp_path / "none", {"kind": "dask", "address": "tcp://127.0.0.1:9", "timeout_seconds": 1})
