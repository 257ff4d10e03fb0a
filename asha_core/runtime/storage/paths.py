"""Paths as people write them: what ``~`` means, and what no file can be called."""

from __future__ import annotations

import os
from pathlib import Path

from asha_core.arguments import shown
from asha_core.errors import SettingError

_LONGEST_NAME = 255  # bytes, of nearly all file systems
_LONGEST_PATH = 4096 - 128  # bytes, with room for what lies in a results directory


def user_path(value: object, name: str = "the path") -> Path:
    """A path that somebody wrote, with ``~`` and ``~user`` at its beginning as the home folder.

    Args:
        name: of the option or argument, for errors.
    Raises:
        SettingError: no path, or one that cannot be: empty, with control characters, too long, of a user that
            there is not; or one that lies where this process may not look.

    A folder that is called ``~`` is ``./~``.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str) or not text.strip() or any(ord(letter) < 32 for letter in text):
        raise SettingError(f"{name} is {shown(value)}: it must be a path, on one line")
    told = f"{name} is {shown(text)}"
    expanded = os.path.expanduser(text)  # noqa: PTH111 - Path would lose the ./ of ./~
    if expanded == text and text.startswith("~"):
        user = text.partition("/")[0]
        raise SettingError(f"{told}: there is no user {user[1:]}; for a folder of that name write ./{user}")
    path = as_found(Path(expanded))
    try:
        longest = max(map(len, map(os.fsencode, path.parts)), default=0)
        whole = len(os.fsencode(path.absolute()))
    except UnicodeEncodeError as error:
        why = "no file can be called so" if error.encoding.startswith("utf") else locale_lacks(error)
        raise SettingError(f"{told}: {why}") from None
    if longest > _LONGEST_NAME or whole > _LONGEST_PATH:
        limits = f"a name may have {_LONGEST_NAME} bytes, a path {_LONGEST_PATH}"
        raise SettingError(f"{told}: it is too long ({limits})")
    try:
        os.lstat(path / "any")  # from here on it may be asked what is there
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        raise SettingError(f"{told}: {error.strerror}") from None
    return path


def locale_lacks(error: UnicodeEncodeError) -> str:
    """That a name cannot be that of a file in this locale, and what to do."""
    return (
        f"names of files are {error.encoding} in this locale, which lacks letters of {error.object!r:.200}: "
        "use a locale such as C.UTF-8, or PYTHONUTF8=1"
    )


def as_found(path: Path) -> Path:
    """A path that was found, whose ``~`` is a name: ``user_path`` leaves it as it is."""
    return path.absolute() if str(path).startswith("~") else path
