"""The code beneath a piece of work, as a digest: what it computes with changes the result, wherever it stands.

Beginning with the modules that are run, imports are followed through `lm_modules` and `configs`, also those inside
functions; `members("lm_modules.heads")` stands for all files of that family. Comments, docstrings and the layout of the
source do not count: to mend a sentence costs no training. Nothing is imported for it, so it costs no torch.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
from collections.abc import Iterator
from functools import cache
from pathlib import Path

FOLLOWED = ("lm_modules", "configs")


@cache
def code_digest(modules: tuple[str, ...]) -> str:
    """Return the sha256 of these modules and of all that they import."""
    digest = hashlib.sha256()
    for module in modules_beneath(modules):
        digest.update(f"{module}\n{ast.dump(_without_texts(module))}\n".encode())
    return digest.hexdigest()


def modules_beneath(modules: tuple[str, ...]) -> list[str]:
    """Return these modules and all that they import from the packages followed, sorted."""
    found: set[str] = set()
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in found:
            found.add(module)
            waiting += _imports(module)
    return sorted(found)


@cache
def _imports(module: str) -> tuple[str, ...]:
    """Return the modules followed that one imports: `from lm_modules.data import packed` names two."""
    names: set[str] = set()
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            names |= {each.name for each in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "members":
            names |= _family(node.args)
    return tuple(sorted(each for each in names if each.split(".")[0] in FOLLOWED and _source(each)))


def _family(arguments: list[ast.expr]) -> set[str]:
    """Return the modules of the family that a call of `members` names, if it names one."""
    match arguments:
        case [ast.Constant(value=str(family))]:
            folder = _root(family.split(".")[0]).joinpath(*family.split(".")[1:])
            return {family, *(f"{family}.{each.stem}" for each in folder.glob("*.py") if each.stem != "__init__")}
    return set()


def _without_texts(module: str) -> ast.AST:
    tree = _tree(module)
    for node in _with_bodies(tree):
        node.body = [each for each in node.body if not _is_text(each)]
    return tree


def _with_bodies(tree: ast.Module) -> Iterator[ast.Module | ast.ClassDef | ast.FunctionDef]:
    return (each for each in ast.walk(tree) if isinstance(each, ast.Module | ast.ClassDef | ast.FunctionDef))


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _tree(module: str) -> ast.Module:
    source = _source(module)
    if source is None:
        raise ValueError(f"no source found for {module}")
    return ast.parse(source.read_bytes())


@cache
def _source(module: str) -> Path | None:
    """Return the file of a module, or None if the name is none (a class or function, say)."""
    package, *path = module.split(".")
    stem = _root(package).joinpath(*path)
    for file in (stem.with_suffix(".py"), stem / "__init__.py"):
        if file.is_file():
            return file
    return None


@cache
def _root(package: str) -> Path:
    """Return the folder of a top-level package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ValueError(f"no source found for {package}")
    return Path(spec.origin).parent
