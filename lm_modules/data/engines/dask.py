"""Workers of a Dask cluster (https://distributed.dask.org)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import ClassVar, Literal

from pydantic import Field

from lm_modules.data.engines import Engine


class Dask(Engine):
    """Hands the parts to a Dask scheduler, whose workers may stand on other machines.

    The workers need the same versions of Rootstock and its libraries, and the same file system under the same paths:
    the one that `ROOTSTOCK_HOME` lies on, and the one that the sources are read from. Install `dask[distributed]`.
    """

    has_other_machines: ClassVar[bool] = True
    kind: Literal["dask"] = "dask"
    address: str
    """The scheduler, as `tcp://host:8786`."""
    timeout_seconds: float = Field(default=10, gt=0)
    """How long to wait for its answer."""

    @contextmanager
    def executor(self, most: int) -> Iterator[Executor | None]:
        """Connect to the scheduler; one that cannot be reached is a ValueError."""
        try:
            from distributed import Client
        except ImportError as error:
            raise ValueError("engine dask needs a package that is missing: pip install 'dask[distributed]'") from error
        try:
            client = Client(self.address, timeout=self.timeout_seconds, set_as_default=False)
        except OSError as error:
            raise ValueError(f"no Dask scheduler answers at {self.address} ({error}); correct address") from error
        with client, client.get_executor(pure=False) as executor:
            yield executor
