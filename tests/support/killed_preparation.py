"""A preparation, to the tokens, in a process of its own, which can be killed with all that it has started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

CODE = """
import sys
from pathlib import Path
from configs.data_preparation import DataPreparationConfig
from configs.tokenization import TokenizationConfig
from lm_modules.data.packed import pack
from lm_modules.data.preparation import prepare
from lm_modules.data.tokenization import train_tokenizer
from lm_modules.disk import remove

def main():
    output = Path(sys.argv[2])
    prepared = output / "prepared"  # in the place of the stages' cache
    if not prepared.exists():
        prepare(DataPreparationConfig.model_validate_json(Path(sys.argv[1]).read_text()), output / "corpus", seed=0)
        prepared.touch()
    config = TokenizationConfig(tokenizer="bytes", packing="best_fit")
    train_tokenizer(config, output / "corpus", output / "tokenizer")
    pack(config, output / "corpus", output / "tokenizer", output / "tokens", output / "tokens.parts")
    remove(output / "tokens.parts")

if __name__ == "__main__":
    main()
"""


def prepare_apart(config: Path, output: Path, kill_after_seconds: float | None = None) -> bool:
    """Return whether the preparation was done before it was to be killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(config), str(output)], start_new_session=True, stderr=subprocess.PIPE
    )
    try:
        _, errors = process.communicate(timeout=kill_after_seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return False
    assert process.returncode == 0, errors.decode()
    return True


def seconds_of(config: Path, output: Path) -> float:
    """Return how long an undisturbed preparation takes."""
    started = time.perf_counter()
    assert prepare_apart(config, output)
    return time.perf_counter() - started
