"""Read and write YAML the way a person means it.

PyYAML follows YAML 1.1, where `3e-4` is a word, `no` is false, `010` is eight and the second of two equal keys silently
wins. Here plain values follow the core schema of YAML 1.2 (https://yaml.org/spec/1.2.2/#103-core-schema), whole numbers
may be grouped (`10_000`), leading zeros make a word, and a repeated key is an error.
"""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import yaml

from configs.problems import ConfigError

PLAIN_VALUES = {
    "null": (r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    "bool": (r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    "int": (r"[-+]?(?:0|[1-9][0-9_]*|0x[0-9a-fA-F]+)", list("-+0123456789")),
    "float": (
        r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*\.[0-9]*)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
        r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
}


class _Loader(yaml.SafeLoader):
    """Reads plain values by YAML 1.2 and refuses repeated keys."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012 (PyYAML keeps it on the class; this one starts empty)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict:
        self.flatten_mapping(node)
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is repeated", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


class _Dumper(yaml.SafeDumper):
    """Quotes every word that either edition of YAML would read as something else."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        meaning = self.represent_str(text)
        if any(re.fullmatch(pattern, text) for pattern, _ in PLAIN_VALUES.values()):
            meaning.style = "'"
        return meaning


for _tag, (_pattern, _first) in PLAIN_VALUES.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), _first)
_Loader.add_implicit_resolver("tag:yaml.org,2002:merge", re.compile("^<<$"), ["<"])
_Dumper.add_representer(str, _Dumper.represent_text)


def read_value(text: str, source: str) -> Any:
    """Return the value that YAML text stands for; `source` names it in an error."""
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigError(f"{source}{line}: {error.problem or 'is not YAML'}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{source}: is not YAML: {error}") from None


def read_file(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except OSError as error:
        raise ConfigError(f"{path}: {(error.strerror or str(error)).lower()}") from None
    data = read_value(text, str(path))
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds {_noun(data)}; it must hold `key: value` lines")
    return data


def write_value(value: Any) -> str:
    """Return a value as YAML text, keys in their order."""
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def write_line(value: Any) -> str:
    """Return a value as YAML text on one line."""
    text = yaml.dump(
        value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=math.inf, default_flow_style=True
    )
    return text.removesuffix("\n").removesuffix("\n...")


def _noun(value: Any) -> str:
    if value is None:
        return "nothing"
    return "a list" if isinstance(value, list) else f"the single value {value!r}"
