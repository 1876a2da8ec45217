import time

import pytest
import torch

from lm_modules.hardware.peak import PUBLISHED, TERA, peak, published


@pytest.mark.parametrize(
    ("name", "bf16_teraflops"),
    [
        ("NVIDIA H200", 989.4),
        ("NVIDIA H200 NVL", 835.5),
        ("NVIDIA A100-SXM4-80GB", 312),
        ("NVIDIA L40S", 362.05),
        ("NVIDIA L4", 121),
        ("NVIDIA GeForce RTX 3090", 71),
    ],
)
def test_a_gpu_is_known_by_the_whole_of_its_name(name, bf16_teraflops):
    found = published(name, "bf16")
    assert found.flops_per_second == bf16_teraflops * TERA
    assert "datasheet" in found.source or "whitepaper" in found.source


@pytest.mark.parametrize("name", ["NVIDIA A100-SXM4-80GB MIG 1g.10gb", "NVIDIA A3000", "NVIDIA L400", "Tesla T4", ""])
def test_a_slice_of_a_gpu_and_one_that_is_not_in_the_table_are_not_guessed(name):
    assert published(name, "bf16") is None


def test_no_gpu_is_said_to_be_faster_in_float32():
    assert all(bf16 > float32 for bf16, float32, _ in PUBLISHED.values())


def test_a_cpu_is_timed_once_and_says_so():
    torch.set_num_threads(1)
    found = peak(torch.device("cpu"), "float32")
    assert "float32" in found.source
    assert "timed on 1 CPU thread" in found.source
    # a product that is timed by itself cannot beat the fastest of many by much, nor be far below it
    square = torch.ones(512, 512)
    fastest = 1.0
    for _ in range(50):
        started = time.perf_counter()
        square @ square
        fastest = min(fastest, time.perf_counter() - started)
    assert 0.3 < 2 * 512**3 / fastest / found.flops_per_second < 1.5
    started = time.perf_counter()
    assert peak(torch.device("cpu"), "float32") is found
    assert time.perf_counter() - started < 0.05
