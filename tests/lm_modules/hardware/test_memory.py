"""Memory that is freed and asked for again is not handed out anew by the system."""

import subprocess
import sys

import pytest

from lm_modules.hardware import memory

CODE = """
import resource, sys
import torch
from lm_modules.hardware.memory import kept_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(2**24)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = new_pages()
with kept_memory():
    for _ in range(3):  # until there is room for what lies between the blocks, too
        new_pages()
    inside = new_pages()
print(before, inside, new_pages())
"""


@pytest.mark.skipif(memory._glibc() is None, reason="the C library is not glibc")
def test_blocks_are_kept_inside_and_given_back_afterwards():
    run = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, inside, after = map(int, run.stdout.split())
    assert inside * 4 < min(before, after)
