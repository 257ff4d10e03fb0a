"""YAML and JSON as people write them: ``1e-3`` is a number, and a key that is given twice is a mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from asha_core.errors import SettingError


class _Loader(yaml.SafeLoader):
    """YAML 1.1 wants a dot in a float, ``1.0e-3``, and PyYAML keeps the last of equal keys."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            where = f"line {node.start_mark.line + 1}"
            raise yaml.composer.ComposerError(
                None, None, f"{where}: a mapping gives {twice!r} twice: give it once"
            )
        return node


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def read_yaml(text: str) -> Any:
    """The content of a YAML (or JSON) text.

    Raises:
        yaml.YAMLError: it is none, or a mapping gives a key twice.
    """
    return yaml.load(text, Loader=_Loader)


def read_yaml_file(
    path: Path, name: str, *, hint: str = "", check: Callable[[str], object] | None = None
) -> Any:
    """The content of a YAML (or JSON) file.

    Args:
        name: of the file, for errors.
        hint: what else to say if it cannot be read.
        check: is given the text before it is read; raises for what it does not like.
    Raises:
        SettingError: it cannot be read, is not YAML, or gives a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        if check is not None:
            check(text)
        return read_yaml(text)
    except OSError as error:
        raise SettingError(f"{name} cannot be read: {error.strerror}{hint}") from None
    except (yaml.YAMLError, ValueError) as error:  # ValueError: no text, or a date such as 2026-13-01
        raise SettingError(f"{name} is not YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise SettingError(f"{name} is nested too deeply") from None


def with_python_names(content: Mapping[Any, Any], place: str) -> dict[str, Any]:
    """A mapping with its keys as in Python: ``max-trials`` is ``max_trials``.

    Raises:
        SettingError: a key is there in both spellings.
    """
    found: dict[str, Any] = {}
    for key, value in content.items():
        name = str(key).replace("-", "_")
        if name in found:
            raise SettingError(f"{place}: {name} is there twice, with a hyphen and without: give it once")
        found[name] = value
    return found
