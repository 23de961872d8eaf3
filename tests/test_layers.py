"""The drawing of the house: which module may import which, read from the sources with `ast`.

A module imports from its own floor or a lower one. A new module takes its place in `FLOORS`; a
package stands there by its name and holds all its modules.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

FLOORS = (
    "errors types _core",
    "text stopwords grams segmentation phrases metrics mixer linear_model deep prompts filters"
    " schema connection store staging rows text_lines times"
    " opinion_model opinion_parts bootstrap list_metrics splits evaluation charts"
    " manifest gguf_header convert_e5 workspace vocabulary encoder_file memory_file llama lm"
    " branch_order tree_chunks token_rows state_reader checkpoint embedder",
    "column columns importing catalog event_rules event_importing events interactions learned"
    " adapter_state steps shown paused"
    " opinions opinion_state said tastes sentences past"
    " vectors states index behavior headings fields event_fields event_writing delimited"
    " json_rows readers fetch model_folder model_install models loaded sample_movies",
    "answer_trie decoding guess phrasebook survey",
    "signals",
    "questions ranking weights",
    "tasks",
    "indexing replay train_config asked_titles asking telling training_files train train_behavior"
    " train_opinions train_words evaluate adapter lessons feedback forgetting exporting logged"
    " opened study people recommender doctor",
    "pyrec cli demo demo_page demo_stock report __main__",
)
FLOOR = {name: n for n, names in enumerate(FLOORS) for name in names.split()}


def modules() -> dict[str, Path]:
    """Map dotted names below pyrec to files; `pyrec` is the package's own `__init__`."""
    found = {}
    for path in sorted((ROOT / "pyrec").rglob("*.py")):
        parts = path.relative_to(ROOT / "pyrec").with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(parts) or "pyrec"] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Return what a file imports, functions and TYPE_CHECKING included, as full dotted names."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import absolutely, `from pyrec.x import y`"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def own_imports(path: Path) -> set[str]:
    """Return the modules of pyrec that a file imports, named as in `MODULES`."""
    found = set()
    for name in imports(path):
        top, _, rest = name.partition(".")
        if top == "pyrec":
            # `from pyrec.text import fold` names a function of a module, `from pyrec import text`
            # a module; the longest name that is a module counts.
            while rest and rest not in MODULES and rest != "_core":
                rest = rest.rpartition(".")[0]
            found.add(rest or "pyrec")
    return found


IMPORTS = {name: own_imports(path) for name, path in MODULES.items()}


def floor(module: str) -> int:
    return FLOOR[module.partition(".")[0]]


def test_every_module_has_a_floor_and_every_floor_names_modules_that_exist():
    assert {name.partition(".")[0] for name in MODULES} | {"_core"} == set(FLOOR)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_from_its_own_floor_or_lower(module):
    above = {other for other in IMPORTS[module] if floor(other) > floor(module)}
    assert not above, f"{module} stands on floor {floor(module)}"


def test_no_module_imports_itself_through_others():
    done: set[str] = set()

    def walk(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, " → ".join((*way[way.index(module) :], module))
        if module not in done:
            for other in sorted(IMPORTS.get(module, ())):
                walk(other, (*way, module))
            done.add(module)

    for module in MODULES:
        walk(module, ())


def importers(library: str) -> list[str]:
    return [
        name
        for name, path in MODULES.items()
        if any(i.partition(".")[0] == library for i in imports(path))
    ]


def test_llama_cpp_is_imported_in_one_room_alone():
    assert importers("llama_cpp") == ["llama"]


def test_click_is_known_to_the_doors_alone():
    assert {FLOORS[floor(name)] for name in importers("click")} == {FLOORS[-1]}


def test_only_the_bindings_know_python():
    knowing = [
        path.name
        for path in sorted((ROOT / "csrc").iterdir())
        if re.search(r"#\s*include\s*[<\"](pybind11|Python\.h)", path.read_text("utf-8"))
    ]
    assert knowing == ["bindings.cpp"]
