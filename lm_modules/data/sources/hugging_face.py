"""Data sets of the Hugging Face Hub, or a directory that `datasets` can read."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pydantic import PrivateAttr

from configs.base import nearest
from lm_modules.data.documents import Document, Unreadable
from lm_modules.data.input_files import files_fingerprint, named
from lm_modules.data.inputs.files import InputFile
from lm_modules.data.inputs.groups import group_of
from lm_modules.data.inputs.parts import Part
from lm_modules.data.sources import Source


class HuggingFace(Source):
    """One split of a data set, by `datasets` (Lhoest et al. 2021, arXiv 2109.02846), streamed unless said otherwise."""

    kind: Literal["hugging_face"] = "hugging_face"
    dataset: str
    """A name on the Hub such as 'roneneldan/TinyStories', a directory of data files, or one made by `save_to_disk`."""
    config: str | None = None
    """The configuration of a data set that has several."""
    split: str = "train"
    """The split to read; slices such as 'train[:1%]' need streaming false."""
    text_field: str = "text"
    """The column that holds the text."""
    group_field: str | None = None
    """A column; documents with the same value stay in the same split, and those without a value stand alone."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; null takes the newest."""
    streaming: bool = True
    """Read over the network as needed; false downloads everything first."""
    _known_commit: str | None = PrivateAttr(default=None)

    def parts(self, part_bytes: int) -> list[Part]:
        """Return the shards of what is streamed, ranges of rows of what is here."""
        commit = self._commit_or_none()
        # each part is of the same commit, however long the preparation takes
        version = (InputFile(self.dataset, self.dataset, version=commit),) if commit else ()
        return [replace(part, files=version) for part in self._parts(self._rows(commit), part_bytes)]

    def _parts(self, rows: Any, part_bytes: int) -> list[Part]:
        if hasattr(rows, "data"):
            at_once = max(1, len(rows) * part_bytes // max(rows.data.nbytes, 1))
            return [
                Part(start=start, end=min(start + at_once, len(rows)), first=start + 1, num_bytes=part_bytes)
                for start in range(0, len(rows), at_once)
            ]
        if rows.num_shards < 2:
            return [Part()]
        return [Part(start=shard, end=shard + 1) for shard in range(rows.num_shards)]

    def documents(self, part: Part | None = None) -> Iterator[Document | Unreadable]:
        """Yield one document a row; where there are several shards, its name has the number of the shard too."""
        rows = self._rows(part.files[0].version if part and part.files else self._commit_or_none())
        for each in self._parts(rows, sys.maxsize) if part is None else [part]:
            if hasattr(rows, "data"):
                yield from self._documents(rows.select(range(each.start, each.end or len(rows))), "", each.first)
            elif each.end is None:
                yield from self._documents(rows, "", 1)
            else:
                shard = rows.shard(num_shards=rows.num_shards, index=each.start, contiguous=True)
                yield from self._documents(shard, f"{each.start}-", 1)

    def _documents(self, rows: Any, shard: str, first: int) -> Iterator[Document | Unreadable]:
        for number, row in enumerate(rows, start=first):
            if number == first:
                for field in filter(None, (self.text_field, self.group_field)):
                    if field not in row:
                        raise ValueError(f"data set {self.dataset!r} has no column {field!r}{nearest(field, row)}")
            text = row[self.text_field]
            if isinstance(text, str):
                group = group_of(row[self.group_field]) if self.group_field else None
                yield self.document(f"{Path(self.dataset).name}/{self.split}:{shard}{number}", text, group)
            else:
                reason = f"column {self.text_field!r} is no string"
                yield self.unreadable(self.dataset, number, reason, repr(text)[:200])

    def _is_remote(self) -> bool:
        return not Path(self.dataset).expanduser().is_dir()

    def _commit_or_none(self) -> str | None:
        return self._commit() if self._is_remote() else None

    def _rows(self, commit: str | None) -> Any:
        import datasets

        place = Path(self.dataset).expanduser()
        try:
            if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
                found = datasets.load_from_disk(str(place))
                return found[self.split] if isinstance(found, dict) else found
            return datasets.load_dataset(
                str(place) if place.is_dir() else self.dataset,
                self.config,
                split=self.split,
                revision=commit or None,
                streaming=self.streaming,
            )
        except (FileNotFoundError, ConnectionError) as error:
            raise ValueError(
                f"data set {self.dataset!r} is neither a directory nor found on the Hub: {error}"
            ) from error
        except KeyError as error:
            raise ValueError(
                f"data set {self.dataset!r} has no split {self.split!r}{nearest(self.split, found)}"
            ) from error

    def check(self) -> None:
        """Raise a ValueError if this is neither a directory nor on the Hub; nothing is downloaded yet."""
        if self._is_remote():
            self._commit()

    def fingerprint(self) -> str:
        """Return a digest of the directory's bytes, or of the Hub's commit."""
        place = Path(self.dataset).expanduser()
        if place.is_dir():
            return files_fingerprint(named(sorted(each for each in place.rglob("*") if each.is_file()), place))
        return hashlib.sha256(f"{self.dataset}@{self._commit()}".encode()).hexdigest()

    def _commit(self) -> str:
        """Return the commit of the Hub, asked for once: what is fingerprinted is what is read."""
        if self._known_commit is None:
            self._known_commit = self._newest_commit()
        return self._known_commit

    def _newest_commit(self) -> str:
        from huggingface_hub import HfApi
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError, RepositoryNotFoundError

        try:
            return HfApi().dataset_info(self.dataset, revision=self.revision).sha or ""
        except (RepositoryNotFoundError, HFValidationError) as error:
            raise ValueError(
                f"data set {self.dataset!r} is neither a directory nor on the Hub; correct the name"
            ) from error
        except (OSError, HfHubHTTPError) as error:
            if self.revision is None:
                raise ValueError(
                    f"the Hub cannot be reached for the newest commit of {self.dataset!r}; give a revision"
                ) from error
            return self.revision
