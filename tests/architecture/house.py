"""The house as the tidy rules see it: every module of the product, parsed once.

A rule is a plain function from one `Module` to the faults found in it, so that a test can also show
it a bad module and see it found out.
"""

import ast
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "dispatcher"


@dataclass(frozen=True, slots=True)
class Module:
    """One source file. `name` is dotted and begins with the package."""

    name: str
    text: str
    tree: ast.Module
    is_face: bool = False

    def is_in(self, *places: str) -> bool:
        """Whether the module is one of these, or inside one of them."""
        return any(self.name == place or self.name.startswith(f"{place}.") for place in places)


def parse(name: str, text: str, *, is_face: bool = False) -> Module:
    """Make a module of its text."""
    return Module(name, text, ast.parse(text), is_face)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of the product."""
    found = []
    for file in sorted((ROOT / PACKAGE).rglob("*.py")):
        parts = list(file.relative_to(ROOT).with_suffix("").parts)
        is_face = parts[-1] == "__init__"
        name = ".".join(parts[:-1] if is_face else parts)
        found.append(parse(name, file.read_text(encoding="utf-8"), is_face=is_face))
    return tuple(found)


@cache
def kept_files() -> tuple[Path, ...]:
    """Every file that is, or would be, under version control."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    files = (ROOT / name for name in sorted(set(listed.split("\0"))) if name)
    return tuple(file for file in files if file.is_file())


def imports(tree: ast.AST) -> Iterator[tuple[ast.stmt, str]]:
    """Every import below a node, as the dotted name it binds."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield node, one.name
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield node, f"{node.module or ''}.{one.name}"


def is_own(name: str) -> bool:
    """Whether an imported name is part of the product; a relative one is."""
    return name.split(".", maxsplit=1)[0] in {PACKAGE, ""}


def named(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Every outside name a module uses, in full, wherever it was imported and however renamed."""
    bound: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                bound[one.asname or one.name.split(".")[0]] = (
                    one.name if one.asname else one.name.split(".")[0]
                )
                yield node.lineno, one.name
        elif isinstance(node, ast.ImportFrom):
            for one in node.names:
                bound[one.asname or one.name] = f"{node.module}.{one.name}"
                yield node.lineno, f"{node.module}.{one.name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            chain = _chain(node)
            if chain and chain[0] in bound:
                yield node.lineno, ".".join([bound[chain[0]], *chain[1:]])


def _chain(node: ast.expr) -> list[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return [node.id, *reversed(parts)] if isinstance(node, ast.Name) else []
