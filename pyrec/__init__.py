"""pyrec: a recommender that runs on the device, in one SQLite file, with small GGUF models.

with pyrec.open("shop.db") as rec:
    rec.recommend("running shoes under 300", user="u1")
"""

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
