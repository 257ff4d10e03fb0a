"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from asha_core.errors import ResultsError, SettingError
from asha_core.runtime.storage.paths import as_found, user_path
from asha_core.runtime.storage.run_directory import RunDirectory


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "home"


@pytest.mark.parametrize("write", [str, Path])
def test_a_tilde_is_the_home_folder(write: Any, home: Path) -> None:
    assert user_path(write("~")) == home
    assert user_path(write("~/runs/one")) == home / "runs/one"
    assert user_path(write("~root/x")).is_absolute()
    assert user_path(write("a/~")) == Path("a/~")  # only at the beginning, as in a shell
    assert user_path(write("runs")) == Path("runs")


def test_a_folder_that_is_called_so_can_be_written_and_stays_when_it_was_found() -> None:
    here = Path.cwd()
    for given in ("./~", "./~/x", "./~nobody-of-that-name"):
        assert user_path(given) == here / given
        assert user_path(user_path(given)) == here / given
    assert user_path(as_found(Path("~/x"))) == here / "~/x"
    assert as_found(Path("x")) == Path("x")


@pytest.mark.parametrize("name", [".", "/", "a b", "ä", "\udcff", "x" * 255, "a/../b"])
def test_what_is_a_path(name: str) -> None:
    assert user_path(name) == Path(name)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        *((each, "it must be a path") for each in ("", " ", "a\nb", "a\0b", b"x", None, True, 3, [], ["x"])),
        ("x" * 256, "it is too long"),
        ("ä" * 128, "it is too long"),
        ("new/" + "x" * 256, "it is too long"),
        ("x/" * 2000, "it is too long"),
        ("\ud800", "no file can be called so"),
        ("~nobody-of-that-name/x", "no user nobody-of-that-name; for a folder of that name write ./~"),
    ],
)  # fmt: skip
def test_what_is_none(value: Any, said: str) -> None:
    with pytest.raises(SettingError) as caught:
        user_path(value, "results_dir")
    assert str(caught.value).startswith("results_dir is ")
    assert said in str(caught.value)
    assert len(str(caught.value)) < 250
    assert "\n" not in str(caught.value)


def test_in_a_locale_that_lacks_a_names_letters_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsencode", lambda name: str(name).encode("ascii"))
    with pytest.raises(SettingError) as caught:
        user_path("größe", "--results-dir")
    assert str(caught.value) == (
        "--results-dir is 'größe': names of files are ascii in this locale, which lacks letters of 'größe': "
        "use a locale such as C.UTF-8, or PYTHONUTF8=1"
    )


def test_where_nobody_may_look_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "lstat", refused)
    with pytest.raises(SettingError, match="the path is 'secret/x': Permission denied"):
        user_path("secret/x")


def test_a_name_that_a_file_system_does_not_take_is_told_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lstat = os.lstat

    def of_short_names(path: Any, **more: Any) -> Any:
        if len(Path(path).name) > 143:  # as on an encrypted one
            raise OSError(36, "File name too long")
        return lstat(path, **more)

    monkeypatch.setattr(os, "lstat", of_short_names)
    with pytest.raises(ResultsError, match="cannot be used: File name too long"):
        RunDirectory(Path("new") / ("x" * 200) / "run").check()


def test_what_was_made_is_taken_back_if_the_rest_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    mkdir = Path.mkdir

    def fails(self: Path, *args: Any, **more: Any) -> None:
        if self.name == "checkpoints":
            raise OSError(28, "No space left on device")
        mkdir(self, *args, **more)

    monkeypatch.setattr(Path, "mkdir", fails)
    with pytest.raises(ResultsError, match="cannot be made: No space left"):
        RunDirectory(Path("new/deep/run")).create()
    assert list(Path.cwd().iterdir()) == []
