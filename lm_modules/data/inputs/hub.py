"""What reads data sets of the Hugging Face Hub, or a directory that `datasets` can read, has in common."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from pydantic import PrivateAttr

from configs.base import Config, nearest
from lm_modules.data.input_files import files_fingerprint, named


class HubData(Config):
    """A data set by `datasets` (Lhoest et al. 2021, arXiv 2109.02846), streamed unless said otherwise."""

    dataset: str
    """A name on the Hub such as 'roneneldan/TinyStories', a directory of data files, or one made by `save_to_disk`."""
    config: str | None = None
    """The configuration of a data set that has several."""
    revision: str | None = None
    """Commit, tag or branch on the Hub; null takes the newest."""
    streaming: bool = True
    """Read over the network as needed; false downloads everything first."""
    _known_commit: str | None = PrivateAttr(default=None)

    def commit_or_none(self) -> str | None:
        """Return the commit of the Hub, asked for once: what is fingerprinted is what is read. None of a directory."""
        if not self._is_remote():
            return None
        if self._known_commit is None:
            self._known_commit = self._newest_commit()
        return self._known_commit

    def rows_of(self, split: str, commit: str | None) -> Any:
        """Return a split, which can be gone through row by row."""
        import datasets

        place = Path(self.dataset).expanduser()
        try:
            if (place / "dataset_dict.json").exists() or (place / "state.json").exists():
                found = datasets.load_from_disk(str(place))
                return found[split] if isinstance(found, dict) else found
            return datasets.load_dataset(
                str(place) if place.is_dir() else self.dataset,
                self.config,
                split=split,
                revision=commit or None,
                streaming=self.streaming,
            )
        except (FileNotFoundError, ConnectionError) as error:
            raise ValueError(
                f"data set {self.dataset!r} is neither a directory nor found on the Hub: {error}"
            ) from error
        except KeyError as error:
            raise ValueError(f"data set {self.dataset!r} has no split {split!r}{nearest(split, found)}") from error

    def fingerprint(self) -> str:
        """Return a digest of the directory's bytes, or of the Hub's commit."""
        place = Path(self.dataset).expanduser()
        if place.is_dir():
            return files_fingerprint(named(sorted(each for each in place.rglob("*") if each.is_file()), place))
        return hashlib.sha256(f"{self.dataset}@{self.commit_or_none()}".encode()).hexdigest()

    def _is_remote(self) -> bool:
        return not Path(self.dataset).expanduser().is_dir()

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
