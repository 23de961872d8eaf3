"""pyrec/_core.pyi lists exactly what the module holds, with the names of the parameters."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from pyrec import _core

STUB = Path(__file__).parent.parent / "pyrec" / "_core.pyi"


def parameters(function: ast.FunctionDef) -> list[str]:
    return [arg.arg for arg in function.args.args]


def stub_surface() -> dict[str, list[str] | None]:
    """Name → parameters, None for a property; members of a class as `Class.member`."""
    surface: dict[str, list[str] | None] = {}
    for node in ast.parse(STUB.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            surface[node.name] = parameters(node)
        elif isinstance(node, ast.ClassDef):
            for member in node.body:
                if isinstance(member, ast.FunctionDef):
                    name = f"{node.name}.{member.name}"
                    is_property = any(ast.unparse(d) == "property" for d in member.decorator_list)
                    if is_property:
                        surface[name] = None
                    elif not member.decorator_list:
                        surface[name] = parameters(member)
    return surface


def documented_parameters(function: object) -> list[str]:
    """Read the parameters from the first line that pybind11 writes into a docstring."""
    signature = str(function.__doc__).splitlines()[0]
    inside = signature[signature.index("(") + 1 : signature.rindex(")")]
    return re.findall(r"(?:^|, )(\w+): ", inside)


def module_surface() -> dict[str, list[str] | None]:
    surface: dict[str, list[str] | None] = {}
    for name, value in vars(_core).items():
        if isinstance(value, type):
            for member, held in vars(value).items():
                if isinstance(held, property):
                    surface[f"{name}.{member}"] = None
                elif callable(held) and (member == "__init__" or not member.startswith("_")):
                    surface[f"{name}.{member}"] = documented_parameters(held)
        elif callable(value) and not name.startswith("_"):
            surface[name] = documented_parameters(value)
    return surface


def test_the_stub_lists_exactly_what_the_module_holds():
    assert stub_surface() == module_surface()


def test_settable_properties_are_the_ones_the_stub_sets():
    settable = {
        f"{name}.{member}"
        for name, value in vars(_core).items()
        if isinstance(value, type)
        for member, held in vars(value).items()
        if isinstance(held, property) and held.fset is not None
    }
    setters = set(re.findall(r"@(\w+)\.setter", STUB.read_text(encoding="utf-8")))
    assert {name.split(".")[1] for name in settable} == setters
