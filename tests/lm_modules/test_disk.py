"""What is removed is gone at once, and what a kill leaves of it goes with the next removal."""

import shutil

import pytest

from lm_modules.disk import remove


def test_a_removal_that_is_killed_in_the_middle_leaves_nothing_in_the_place(tmp_path, monkeypatch):
    parts, whole = tmp_path / "parts", shutil.rmtree

    def killed(folder, **options):
        if folder.exists():
            (folder / "tokens.bin").unlink()
            raise KeyboardInterrupt

    parts.mkdir()
    (parts / "tokens.bin").touch()
    (parts / "part.json").touch()
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        remove(parts)
    assert not parts.exists()
    monkeypatch.setattr(shutil, "rmtree", whole)
    remove(parts)
    assert list(tmp_path.iterdir()) == []


def test_a_link_to_a_directory_is_removed_and_not_what_it_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    remove(tmp_path / "link")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["real"]
    assert (tmp_path / "real" / "file").exists()
