"""The text that every Python installation carries: its library, read by `ast`, and its language reference.

Nothing is imported but the topics, which are a dictionary of strings. The contents differ from build to build (Debian
leaves out tkinter and idlelib), so the interpreter is part of the fingerprint.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import re
import sys
import sysconfig
import tokenize
import warnings
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lm_modules.data.python_chapters import group_of

LEFT_OUT = {"test", "tests", "idle_test", "encodings", "lib2to3", "ensurepip", "pydoc_data"}
LEFT_OUT |= {"site-packages", "dist-packages"}
GENERATED = re.compile(r"_sysconfigdata|_sysconfig_vars")


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the standard library."""

    name: str
    group: str
    text: str
    docstrings: tuple[tuple[str, str], ...]
    """(dotted name and line, text) of every module, class and function that has one."""


def library_files() -> dict[str, Path]:
    """Return the files of this interpreter's library by dotted module name; tests and generated tables left out."""
    root = Path(sysconfig.get_path("stdlib"))
    files = {}
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        if LEFT_OUT.isdisjoint(parts) and not GENERATED.match(parts[-1]) and all(part.isidentifier() for part in parts):
            files[".".join(parts).removesuffix(".__init__")] = path
    return files


def fingerprint() -> str:
    """Return a digest of the interpreter's version and of all that is read."""
    digest = hashlib.sha256(f"{sys.implementation.name} {sys.version}\0".encode())
    for name, path in library_files().items():
        digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    for name, text in topics().items():
        digest.update(f"{name}\0{text}\0".encode())
    return digest.hexdigest()


def topics() -> dict[str, str]:
    """Return the sections of the language reference that `help()` shows, by name."""
    return dict(sorted(importlib.import_module("pydoc_data.topics").topics.items()))


@cache
def modules() -> tuple[Module, ...]:
    """Return every module of the library (about 5 seconds, once a process, 15 MB)."""
    return tuple(module for name, path in library_files().items() if (module := _module(name, path)))


def _module(name: str, path: Path) -> Module | None:
    try:
        with tokenize.open(path) as file:
            text = file.read()
        with warnings.catch_warnings():
            # Old modules hold invalid escapes, of which the parser warns.
            warnings.simplefilter("ignore", (SyntaxWarning if sys.version_info >= (3, 12) else DeprecationWarning))
            tree = ast.parse(text)
    except (SyntaxError, UnicodeDecodeError):
        return None
    return Module(name, group_of(name), text, tuple(_docstrings(tree, name)))


def _docstrings(node: ast.AST, name: str) -> list[tuple[str, str]]:
    found = []
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if not isinstance(node, ast.Module):
            name = f"{name}.{node.name}"
        if text := ast.get_docstring(node):
            found.append((f"{name}:{getattr(node, 'lineno', 1)}", text))
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.expr):
            found += _docstrings(child, name)
    return found
