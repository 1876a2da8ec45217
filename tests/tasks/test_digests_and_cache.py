from __future__ import annotations

from pathlib import Path

import pytest

from tasks import artifact_cache
from tasks.digests import digest_directory


def _write(directory: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_text(text)
    return directory


def test_a_digest_follows_names_and_bytes_and_nothing_else(tmp_path: Path) -> None:
    first = _write(tmp_path / "first", {"a": "1", "b/c": "2"})
    same = _write(tmp_path / "same", {"b/c": "2", "a": "1"})
    (same / "empty").mkdir()
    assert digest_directory(first) == digest_directory(same)
    for changed in ({"a": "1", "b/c": "3"}, {"a": "1", "b/d": "2"}, {"a": "1"}):
        other = _write(tmp_path / f"other{len(list(tmp_path.iterdir()))}", changed)
        assert digest_directory(other) != digest_directory(first)


def test_an_empty_directory_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no files"):
        digest_directory(tmp_path)


def test_the_cache_downloads_once_and_again_after_corruption(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = _write(tmp_path / "source", {"weights": "right", "sub/config": "{}"})
    digest, downloads = digest_directory(source), []

    def download(target: Path) -> None:
        downloads.append(target)
        _write(target, {"weights": "right", "sub/config": "{}"})

    cached = artifact_cache.fill(digest, download)
    assert artifact_cache.fill(digest, download) == cached == artifact_cache.lookup(digest)
    assert len(downloads) == 1
    (cached / "weights").write_text("wrong")
    assert artifact_cache.lookup(digest) is None
    assert (artifact_cache.fill(digest, download) / "weights").read_text() == "right"
    assert len(downloads) == 2
    assert "were changed" in caplog.text


def test_touched_files_with_the_same_bytes_stay_in_the_cache(tmp_path: Path) -> None:
    source = _write(tmp_path / "source", {"touched": "the same"})
    digest = digest_directory(source)
    cached = artifact_cache.fill(digest, lambda target: artifact_cache.link_or_copy(source, target))
    (cached / "touched").touch()
    assert artifact_cache.lookup(digest) == cached


def test_wrong_bytes_never_enter_the_cache(tmp_path: Path) -> None:
    source = _write(tmp_path / "source", {"expected": "one thing"})
    digest = digest_directory(source)
    with pytest.raises(ValueError, match="the stored artifact was changed"):
        artifact_cache.fill(digest, lambda target: _write(target, {"expected": "another"}) and None)
    assert artifact_cache.lookup(digest) is None
    assert not [each for each in (tmp_path.parent).rglob(f".{digest[:16]}-*")]
