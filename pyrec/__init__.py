"""pyrec: a recommender that runs on the device, in one SQLite file, with small GGUF models.

with pyrec.open("shop.db") as rec:
    rec.recommend("running shoes under 300", user="u1")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyrec.errors import PyrecError
    from pyrec.recommender import Recommender, open
    from pyrec.types import Event, Filter, Item, Need, Reason, Slate, Suggestion

__all__ = [
    "Event",
    "Filter",
    "Item",
    "Need",
    "PyrecError",
    "Reason",
    "Recommender",
    "Slate",
    "Suggestion",
    "open",
]

# Imported when first used: NumPy, SQLite and llama.cpp together take half a second, which
# `pyrec --help` and a shell that completes a word do not have.
_HOME = dict.fromkeys(("Event", "Filter", "Item", "Need", "Reason", "Slate", "Suggestion"), "types")
_HOME |= {"PyrecError": "errors", "Recommender": "recommender", "open": "recommender"}


def __getattr__(name: str) -> Any:
    """Import what is public where it is first asked for."""
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names before they are imported."""
    return sorted({*globals(), *__all__})
