"""What every child process needs, imported once: only the fork server imports this module (see `tasks/processes.py`).

The server forks each child from itself, so a child begins in a twentieth of a second with all of this in memory
instead of importing it for ten. Nothing here may touch a GPU or start a thread: neither survives a fork.
"""

from __future__ import annotations

import importlib
import os
import signal
from contextlib import suppress

# Ctrl-C reaches every process of the terminal's group; what ends here is for the parent alone to decide.
signal.signal(signal.SIGINT, signal.SIG_IGN)
# The memory that is shared after a fork is read only. Threads that a numeric library starts at import would be lost.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Tokenizers that were used before a fork warn at it and turn their threads off.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

HEAVY = (
    "torch",
    "lightning.pytorch",
    "transformers.models.llama.modeling_llama",
    "peft",
    "lm_modules.training.pretraining",
    "lm_modules.training.finetuning",
)

for name in HEAVY:
    # What cannot be imported fails again in the child that asks for it, where the error can be told to someone.
    with suppress(Exception):
        importlib.import_module(name)
