"""YAML and JSON as people write them: ``1e-3`` is a number, and a key that is given twice is a mistake."""

from __future__ import annotations

import re
from typing import Any

import yaml


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
