"""Bits per byte of an exported decoder by lm-evaluation-harness (Gao et al., version 0.4) are ours.

What both do: every document alone; its first token is predicted from the end-of-text token, which is not scored itself;
no end of a document is scored; nats are summed, turned into bits and divided by the UTF-8 bytes of the text.

Long documents: a window of the harness with `max_length` = n holds n scored tokens and one before them, and the next
begins where it ends. In our words that is a window of n + 1 tokens of which neighbours share one: `context_length`
n + 1, `overlap_fraction` 0. The last window differs: the harness moves it back so that it is full, ours is short.
Documents of k times n tokens, or at most n, have no such window, and with them both are the same statement.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_pretraining import SENTENCE, make_tokens, tiny_config

from lm_modules.evaluation.likelihood import bits_per_byte
from lm_modules.export.export import export
from lm_modules.training.pretraining import pretrain

pytest.importorskip("lm_eval", reason="lm-evaluation-harness comes with the extra `test`")

WINDOW = 31
"""Tokens that a window scores; the model reads 32."""
TASK = """
task: held_out
dataset_path: json
dataset_kwargs: {{data_files: {{test: {file}}}}}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{text}}}}"
metric_list:
  - metric: bits_per_byte
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("model")
    tokens, tokenizer = make_tokens(directory)
    trained = pretrain(tiny_config(), tokens=tokens, tokenizer=tokenizer, workdir=directory / "work", seed=0)
    export(Path(trained["checkpoint"]), tokenizer, directory / "exported")
    return directory / "exported"


def by_the_harness(model: Path, texts: list[str], directory: Path) -> float:
    """Run the harness as its users do: a task in a YAML file, in a process of its own."""
    file = directory / "held_out.jsonl"
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    (directory / "held_out.yaml").write_text(TASK.format(file=file))
    command = [
        *(sys.executable, "-m", "lm_eval", "run", "--model", "hf", "--device", "cpu", "--batch_size", "4"),
        *("--model_args", f"pretrained={model},max_length={WINDOW},dtype=float32"),
        *("--tasks", "held_out", "--include_path", str(directory), "--output_path", str(directory / "out")),
    ]
    home = {"HF_HOME": str(directory / "home"), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(command, env=os.environ | home, check=True, capture_output=True, timeout=300)
    [results] = (directory / "out").rglob("results_*.json")
    return json.loads(results.read_text())["results"]["held_out"]["bits_per_byte,none"]


@pytest.mark.slow
def test_bits_per_byte_are_those_of_the_harness(model, tmp_path):
    short = [
        "the quick brown fox",
        "caf\N{LATIN SMALL LETTER E WITH ACUTE} na\N{LATIN SMALL LETTER I WITH DIAERESIS}f",
        "x",
    ]
    long = [(SENTENCE * 9)[: WINDOW * windows] for windows in (2, 5)]
    ours = bits_per_byte(model, short + long, context_length=WINDOW + 1, overlap_fraction=0.0)
    assert ours["num_tokens"] == sum(len(text.encode()) for text in short + long)
    assert ours["bits_per_byte"] == pytest.approx(by_the_harness(model, short + long, tmp_path), abs=1e-3)
    # the comparison sees a difference of the windows
    other = bits_per_byte(model, short + long, context_length=WINDOW + 1, overlap_fraction=0.5)
    assert abs(other["bits_per_byte"] - ours["bits_per_byte"]) > 1e-3
