"""A preparation that is killed again and again, in one process or several, ends with the same bytes.

pytest tests/faults/test_preparation_kills.py --kills 10
"""

import json
import random
import shutil

import pytest
from killed_preparation import prepare_apart, seconds_of

from configs.data_preparation import DataPreparationConfig
from lm_modules.data.parts import for_each_part, part_directory, written

WORDS = """the of and to in is it that was for on are with as his they at be this from have or by one had not
    but""".split()  # noqa: SIM905
PARAGRAPHS = ["A paragraph that stands in many of these documents, and says the same in each of them. " * 2] * 3


def texts(folder, count):
    """Write documents of which some are copies, some nearly, and some share a paragraph."""
    draw = random.Random(0)
    folder.mkdir()
    known = []
    for number in range(4):
        lines = []
        for _ in range(count // 4):
            words = [draw.choice(WORDS) + draw.choice("abcdefgh") for _ in range(draw.randint(20, 120))]
            if known and draw.random() < 0.3:
                words = draw.choice(known).split(" ")
                if draw.random() < 0.5:
                    words[draw.randrange(len(words))] = "another"
            text = " ".join(words)
            known.append(text)
            if draw.random() < 0.2:
                text += f"\n\n{draw.choice(PARAGRAPHS)}\n\n" + " ".join(draw.sample(WORDS, 9))
            lines.append(json.dumps({"text": text}))
        (folder / f"{number}.jsonl").write_text("\n".join(lines))
    return folder


def settings(folder, **more):
    return DataPreparationConfig.model_validate(
        {
            "sources": [{"kind": "jsonl", "path": str(folder)}],
            "deduplication": ["exact", "paragraphs", "minhash"],
            "part_megabytes": 0.05,
            **more,
        }
    )


def contents(corpus):
    return {str(path.relative_to(corpus)): path.read_bytes() for path in corpus.rglob("*") if path.is_file()}


def test_killed_at_any_moment_it_ends_with_the_same_bytes(tmp_path, kills):
    folder, draw = texts(tmp_path / "texts", 2000), random.Random(0)
    found = []
    for count in (1, 2):
        config = tmp_path / f"{count}.json"
        config.write_text(settings(folder, engine={"kind": "processes", "count": count}).model_dump_json())
        if count == 1:
            seconds = seconds_of(config, tmp_path / "whole")
            found.append(contents(tmp_path / "whole"))
        output, killed = tmp_path / f"killed {count}", 0
        while killed < kills:
            if prepare_apart(config, output, kill_after_seconds=draw.uniform(0.2, 1.0) * seconds):
                shutil.rmtree(output)
            else:
                killed += 1
        assert prepare_apart(config, output)
        found.append(contents(output))
        assert not (output / "corpus.parts").exists()
    assert found[0] == found[1] == found[2]
    assert {"corpus/ledger.jsonl", "tokens/train.bin", "tokens/meta.json"} <= set(found[0])
    report = json.loads(found[0]["corpus/report.json"])
    steps = {step["step"]: step for step in report["steps"]}
    assert steps["exact"]["documents_out"] < steps["exact"]["documents_in"]
    assert steps["minhash"]["documents_out"] < steps["minhash"]["documents_in"]
    assert steps["paragraphs"]["modified"] > 100


def test_what_is_done_is_not_done_again_and_what_was_begun_is_done_anew(tmp_path):
    engine, calls = settings(tmp_path, engine={"kind": "processes", "count": 1}).engine, []

    def work(directory, number):
        calls.append(number)
        with written(directory) as folder:
            (folder / "found").write_text(str(number))
            if number == 2 and calls.count(2) == 1:
                raise RuntimeError("killed here")

    for_each_part(engine, tmp_path / "parts", work, [(0,)], lambda done: False)
    with pytest.raises(RuntimeError, match="killed here"):
        for_each_part(engine, tmp_path / "parts", work, [(0,), (1,), (2,), (3,)], lambda done: False)
    for_each_part(engine, tmp_path / "parts", work, [(0,), (1,), (2,), (3,)], lambda done: False)
    assert sorted(calls) == [0, 1, 2, 2, 3]
    for number in range(4):
        assert (part_directory(tmp_path / "parts", number) / "found").read_text() == str(number)
    assert not list((tmp_path / "parts").glob("*.unfinished"))
