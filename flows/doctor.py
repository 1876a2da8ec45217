"""Whether this machine can do the work: one line a finding."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from typing import NamedTuple

from tasks.home import home, optuna_storage, tracking_uri, without_credentials
from tasks.processes import num_cores

ENOUGH_MEMORY_GIB = 4
ENOUGH_DISK_GIB = 5
DEFAULT_PORTS = {"Prefect": 4200, "MLflow": 5000}


class Finding(NamedTuple):
    """What one check found; `ok` is None for what is worth knowing but stops nothing."""

    name: str
    ok: bool | None
    text: str


def examine() -> list[Finding]:
    """Run every check. None of them starts, changes or downloads anything."""
    checks: list[Callable[[], Iterator[Finding]]] = [_python, _packages, _device, _machine, _home, _servers]
    return [finding for check in checks for finding in check()]


def _python() -> Iterator[Finding]:
    ok = sys.version_info >= (3, 11)
    yield Finding("python", ok, platform.python_version() + ("" if ok else "; Rootstock needs 3.11 or newer"))


def _packages() -> Iterator[Finding]:
    from packaging.requirements import Requirement

    wrong, known = [], 0
    for line in requires("rootstock") or []:
        requirement = Requirement(line)
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        known += 1
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            wrong.append(f"{requirement.name} is missing")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            wrong.append(f"{requirement.name} {installed} is outside {requirement.specifier}")
    text = f"{'; '.join(wrong)}: install Rootstock again" if wrong else f"all {known} within their bounds"
    yield Finding("packages", not wrong, text)


def _device() -> Iterator[Finding]:
    import torch

    from configs.compute import ComputeConfig
    from lm_modules.training.trainer import resolve_precision

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    seen = ", ".join(names) or "CPU (no CUDA device seen)"
    yield Finding("device", True, f"torch {torch.__version__}, {seen}, {resolve_precision(ComputeConfig())}")


def _machine() -> Iterator[Finding]:
    import psutil

    memory = psutil.virtual_memory()
    available = memory.available / 2**30
    yield Finding("cores", True, f"{num_cores()}")
    yield Finding(
        "memory",
        True if available >= ENOUGH_MEMORY_GIB else None,
        f"{available:.1f} of {memory.total / 2**30:.1f} GiB free"
        + ("" if available >= ENOUGH_MEMORY_GIB else f"; the demo wants {ENOUGH_MEMORY_GIB}"),
    )
    free = shutil.disk_usage(home()).free / 2**30
    yield Finding(
        "disk",
        True if free >= ENOUGH_DISK_GIB else None,
        f"{free:.1f} GiB free at {home()}" + ("" if free >= ENOUGH_DISK_GIB else f"; the demo wants {ENOUGH_DISK_GIB}"),
    )


def _home() -> Iterator[Finding]:
    probe = home() / f".doctor-{os.getpid()}"
    try:
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        yield Finding("home", False, f"{home()} cannot be written ({error.strerror}); set ROOTSTOCK_HOME elsewhere")
    else:
        yield Finding("home", True, f"{home()} can be written")


def _servers() -> Iterator[Finding]:
    from flows.services import answers, living_servers, port_is_free

    prefect = os.environ.get("PREFECT_API_URL")
    mlflow = tracking_uri() if tracking_uri().startswith("http") else None
    if servers := living_servers():
        yield Finding("up", True, f"Prefect {servers.prefect_url}, MLflow {servers.mlflow_url}")
    for name, url in (("Prefect", prefect and f"{prefect}/health"), ("MLflow", mlflow and f"{mlflow}/health")):
        if url:
            url = without_credentials(url)  # whether it lives, every server tells everybody
            answered = answers(url)
            yield Finding(
                name.lower(), answered, f"{url} {'answers' if answered else 'does not answer; is it running?'}"
            )
        elif not servers:
            port = DEFAULT_PORTS[name]
            free = port_is_free(port)
            remedy = "" if free else f" is taken; `rootstock up --{name.lower()}-port` takes another"
            yield Finding(name.lower(), True if free else None, f"none configured; port {port}{remedy or ' is free'}")
    yield Finding("studies", True, without_credentials(optuna_storage()))
