"""Find, layer and validate a configuration: a preset or a YAML file, what it extends, and what `--set` changes.

extends: demo                    # a preset, or a path relative to this file; of a list, [small, roots], the last wins
finetuning:
  dropout: 0.2                   # mappings merge; lists and single values replace
  adapter: {kind: lora}          # another kind: the settings of the old one are dropped
promotion: null                  # this stage is skipped
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from configs.base import Config, nearest
from configs.budget import without_budget
from configs.problems import ConfigError, Steps, describe, dotted
from configs.size import without_shape
from configs.yaml_files import read_file, read_value, write_value

# PipelineConfig is imported inside the functions below: its own validator calls `resolve`.
if TYPE_CHECKING:
    from configs.pipeline import PipelineConfig


class _Layer(NamedTuple):
    """What one file says."""

    source: str
    data: dict[str, Any]


def load(name_or_path: str, overrides: Sequence[str] = ()) -> PipelineConfig:
    """Return the configuration of a preset or a YAML file, with `path.to.key=value` overrides applied in order.

    A file that does not give its own `name` is named after itself. Raises ConfigError.
    """
    from configs.pipeline import PipelineConfig

    path = _find(name_or_path, Path())
    layers = _layers({"name": path.stem, **read_file(path)}, str(path), path.parent)
    data = _merged(layers)
    paths: list[Steps] = []
    for override in overrides:
        data = _without_what_is_replaced(data, _nested(*_parse(override)))
    for override in overrides:
        steps, value = _parse(override)
        data = _assign(_with_default_lists(data, steps), steps, value, steps)
        paths.append(steps)
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        raise describe(error, data, lambda steps: _origin(steps, layers, paths)) from None


def resolve(data: dict[str, Any]) -> dict[str, Any]:
    """Return `data` merged over what it extends (a preset, or a path relative to the working directory)."""
    return _merged(_layers(data, "", Path()))


@cache
def presets() -> dict[str, Path]:
    """Return the shipped configurations by name."""
    found = sorted(Path(str(files("configs") / "presets")).rglob("*.yaml"))
    return {path.stem: path for path in found}


def schema() -> dict[str, Any]:
    """Return the JSON schema of a configuration."""
    from configs.pipeline import PipelineConfig

    return PipelineConfig.model_json_schema()


def to_yaml(config: Config) -> str:
    """Return a configuration as YAML that loads back to an equal one."""
    return write_value(config.model_dump(mode="json", exclude={"extends"}))


def _find(name_or_path: str, directory: Path) -> Path:
    """Return the file of a preset, or the path itself when it looks like one."""
    if Path(name_or_path).suffix in (".yaml", ".yml") or "/" in name_or_path:
        path = directory / Path(name_or_path).expanduser()
        if not path.is_file():
            raise ConfigError(f"{path}: no such file")
        return path
    if name_or_path not in presets():
        raise ConfigError(f"no preset {name_or_path!r}{nearest(name_or_path, presets())} (a file's name ends in .yaml)")
    return presets()[name_or_path]


def _layers(data: dict[str, Any], source: str, directory: Path, above: tuple[str, ...] = ()) -> list[_Layer]:
    """Return `data` and all that it extends, itself first; of several bases the last, which stands over the others."""
    layers = [_Layer(source, data)]
    for base in reversed(_bases(data, source)):
        try:
            path = _find(base, directory)
        except ConfigError as error:
            raise ConfigError(f"extends: {error}{f' ({source})' if source else ''}") from None
        if str(path) in (*above, source):
            raise ConfigError(f"extends: {path} extends itself, through {source}")
        layers += _layers(read_file(path), str(path), path.parent, (*above, source))
    return layers


def _bases(data: dict[str, Any], source: str) -> Sequence[str]:
    base = data.get("extends")
    bases = [base] if isinstance(base, str) else base or []
    if not isinstance(bases, list | tuple) or not all(isinstance(each, str) for each in bases):
        raise ConfigError(
            f"extends: must be the name of a preset or a path, or a list of them, not {base!r} ({source})"
        )
    return bases


def _merged(layers: list[_Layer]) -> dict[str, Any]:
    merged: Any = {}
    for layer in reversed(layers):
        own = {key: value for key, value in layer.data.items() if key != "extends"}
        merged = _merge(_without_what_is_replaced(merged, own), own)
    return merged


def _without_what_is_replaced(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Return what lies below without what a setting of another name above it replaces."""
    return without_budget(without_shape(below, above), above)


def _merge(below: Any, above: Any) -> Any:
    """Return what `above` makes of `below`."""
    if isinstance(below, str):
        below = {"kind": below} if isinstance(above, dict) else below
    if not (isinstance(below, dict) and isinstance(above, dict)) or _stands_alone(below, above):
        return above
    return {**below, **{key: _merge(below.get(key), value) for key, value in above.items()}}


def _stands_alone(below: dict, above: dict) -> bool:
    """Whether `above` is a whole new value: another kind, or another complete range or list of choices."""
    other_kind = "kind" in above and below.get("kind", above["kind"]) != above["kind"]
    return other_kind or "choices" in above or {"low", "high"} <= above.keys()


def _parse(override: str) -> tuple[Steps, Any]:
    path, equals, text = override.partition("=")
    steps = tuple(path.strip().split("."))
    if not equals or not all(steps):
        raise ConfigError(f"--set {override}: write it as path.to.key=value")
    return steps, read_value(text, f"--set {path.strip()}")


def _nested(steps: Steps, value: Any) -> dict[str, Any]:
    """Return the mapping in which `value` is alone at the end of the steps."""
    for step in reversed(steps):
        value = {step: value}
    return value


def _assign(place: Any, steps: Steps, value: Any, whole: Steps) -> Any:
    """Return `place` with `value` at the end of the steps; `whole` is the full path, for messages."""
    if not steps:
        return value
    step, rest = str(steps[0]), steps[1:]
    if isinstance(place, list):
        if not step.isdigit() or int(step) >= len(place):
            entries = f"has entries 0 to {len(place) - 1}" if place else "is empty"
            raise ConfigError(f"--set {dotted(whole)}: the list {entries}, not {step!r}")
        index = int(step)
        return [*place[:index], _assign(place[index], rest, value, whole), *place[index + 1 :]]
    if isinstance(place, str):
        place = {"kind": place}
    if place is not None and not isinstance(place, dict):
        raise ConfigError(f"--set {dotted(whole)}: {place!r} has no setting {step!r} beneath it")
    place = place or {}
    if step == "kind" and not rest and place.get("kind") != value:
        return {"kind": value}
    key = next((each for each in place if str(each) == step), step)  # a key may be a number
    return {**place, key: _assign(place.get(key), rest, value, whole)}


def _with_default_lists(data: dict[str, Any], steps: Steps) -> dict[str, Any]:
    """Write out the default list that the steps index, when no file gave one."""
    from configs.pipeline import PipelineConfig

    for position, step in enumerate(steps):
        if not str(step).isdigit() or _value_at(data, steps[:position]) is not None:
            continue
        try:
            complete = PipelineConfig.model_validate(data).model_dump(mode="json")
        except ValidationError:
            return data  # said better when everything was set
        default = _value_at(complete, steps[:position])
        return data if default is None else _assign(data, steps[:position], default, steps)
    return data


def _value_at(data: Any, steps: Steps) -> Any:
    for step in steps:
        if isinstance(data, list) and str(step).isdigit() and int(step) < len(data):
            data = data[int(step)]
        elif isinstance(data, dict):
            data = data.get(step)
        else:
            return None
    return data


def _origin(steps: Steps, layers: list[_Layer], overrides: list[Steps]) -> str:
    """Return where the value at these steps was written: `--set`, or the uppermost file that has it."""
    texts = tuple(map(str, steps))
    for override in overrides:
        if texts[: len(override)] == override or override[: len(texts)] == texts:
            return "--set"
    for length in range(len(steps), 0, -1):
        for layer in layers:
            if _value_at(layer.data, steps[:length]) is not None:
                return layer.source
    return layers[0].source
