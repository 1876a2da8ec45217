"""What a source gives, sorted; and the memory that it takes."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

from lm_modules.data.documents import Document
from lm_modules.data.sources import Source

CHILD = """
    import resource, sys
    from lm_modules.data.documents import Document
    from configs.component import members
    kind, path, most_megabytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
    source = members("lm_modules.data.sources")[kind](path=path)
    import pyarrow.parquet
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    kept = [each.id for each in source.documents() if isinstance(each, Document)]
    read = (each for part in source.parts(1 << 20) for each in source.documents(part))
    aside = [each.reason for each in read if not isinstance(each, Document)]
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < most_megabytes, f"{grown} MB"
    print(len(kept), grown, aside)
"""


def in_child(kind: str, path: Path, most_megabytes: int) -> str:
    """Read a source in another process, and return what it says; its peak of memory may not grow by more than that."""
    command = [sys.executable, "-c", textwrap.dedent(CHILD), kind, str(path), str(most_megabytes)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def read(source: Source) -> tuple[dict[str, str], dict[str, str]]:
    """Return the texts by id, and the reasons by the last part of the file's name and the line."""
    texts, reasons = {}, {}
    for each in source.documents():
        if isinstance(each, Document):
            assert each.id not in texts
            texts[each.id] = each.text
        else:
            key = Path(each.file).name + (f":{each.line}" if each.line else "")
            assert key not in reasons
            reasons[key] = each.reason
    return texts, reasons
