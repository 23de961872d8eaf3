"""The demo as a stranger sees it: on a few movies, from their wheel to the last command."""

from __future__ import annotations

import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from model_samples import real_model, write_wheel

from pyrec import demo, demo_page, demo_stock, sample_movies, vectors
from pyrec.cli.width import width
from pyrec.errors import CatalogError, ModelError
from pyrec.recommender import open as open_recommender
from pyrec.types import Item, Reason, Slate, Suggestion

SHOP = Path(__file__).parents[1] / "examples" / "shop.jsonl"

# ID, title, year, genres, directors, cast, language, country, reviews: facts of the sample catalog.
MOVIES = (
    (83495, "The Matrix", 1999, "Sci-Fi, Action", "Lana Wachowski, Lilly Wachowski",
     "Carrie-Anne Moss, Keanu Reeves, Nobody Known", "English", "United States", 153),
    (2, "The Matrix Reloaded", 2003, "Sci-Fi, Action", "Lana Wachowski, Lilly Wachowski",
     "Carrie-Anne Moss, Keanu Reeves", "English", "United States", 240),
    (3, "Speed", 1994, "Thriller, Action", "Jan de Bont", "Keanu Reeves, Sandra Bullock",
     "English", "United States", 64),
    (4, "Moon", 2009, "Sci-Fi, Drama", "Duncan Jones", "Sam Rockwell", "English",
     "United Kingdom", 186),
    (5, "Zathura: A Space Adventure", 2005, "Sci-Fi, Adventure", "Jon Favreau", "", "English",
     "United States", 159),
    (6, "Lost in Space", 1998, "Sci-Fi, Adventure", "Stephen Hopkins", "", "English",
     "United States", 83),
    (7, "Amélie", 2001, "Romance, Comedy", "Jean-Pierre Jeunet", "Audrey Tautou", "French",
     "France", 177),
    (8, "Amour", 2012, "Romance, Drama", "Michael Haneke", "", "French", "France", 217),
    (9, "Hero", 2002, "Drama, Action", "Zhang Yimou", "Jet Li, Maggie Cheung", "Mandarin",
     "China", 210),
    (10, "House of Flying Daggers", 2004, "Romance, Action", "Zhang Yimou", "", "Mandarin",
     "China", 170),
    (11, "Shadow of the Vampire", 2000, "Horror, Drama", "E. Elias Merhige", "", "English",
     "United Kingdom", 132),
    (12, "Vampires", 1998, "Horror", "John Carpenter", "", "English", "United States", 60),
    (13, "WALL-E", 2008, "Sci-Fi, Animation", "Andrew Stanton", "", "English",
     "United States", 257),
    (14, "Primer", 2004, "Sci-Fi", "Shane Carruth", "", None, "United States", None),
)  # fmt: skip


def write_movies(path: Path) -> Path:
    with sqlite3.connect(path) as db:
        db.execute(
            "CREATE TABLE omdb (ID INTEGER, Title TEXT, Year INTEGER, Genre TEXT, Director TEXT,"
            ' "Cast" TEXT, Language TEXT, Country TEXT)'
        )
        db.execute("CREATE TABLE tomatoes (ID INTEGER, Reviews INTEGER)")
        db.executemany("INSERT INTO omdb VALUES (?,?,?,?,?,?,?,?)", [m[:-1] for m in MOVIES])
        db.executemany("INSERT INTO tomatoes VALUES (?,?)", [(m[0], m[-1]) for m in MOVIES])
    db.close()
    return path


def test_movies_come_most_reviewed_first_with_lists_split_and_the_best_known_of_the_cast_ahead(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sample_movies, "N_CAST", 2)
    items = list(sample_movies.read_movies(write_movies(tmp_path / "movies.db")))
    assert [i.title for i in items[:3]] == ["WALL-E", "The Matrix Reloaded", "Amour"]
    matrix = next(i for i in items if i.item_id == demo.MATRIX)
    assert matrix.popularity == 153.0
    assert matrix.attributes == {
        "year": 1999.0,
        "genre": ("Sci-Fi", "Action"),
        "director": ("Lana Wachowski", "Lilly Wachowski"),
        "cast": ("Keanu Reeves", "Carrie-Anne Moss"),  # Keanu Reeves has one movie more here
        "language": ("English",),
        "country": ("United States",),
    }


def test_a_movie_without_language_cast_or_reviews_has_no_such_values(tmp_path):
    items = sample_movies.read_movies(write_movies(tmp_path / "movies.db"))
    primer = next(i for i in items if i.title == "Primer")
    assert primer.popularity is None
    assert set(primer.attributes) == {"year", "genre", "director", "country"}


@pytest.fixture
def by_pip(tmp_path, monkeypatch):
    """Let pip find nothing but a wheel of the few movies; return the folder where it lies."""
    wheels = tmp_path / "wheels"
    data = write_movies(tmp_path / "movies.db").read_bytes()
    write_wheel(wheels, "bokeh_sampledata", {sample_movies.MEMBER: data})
    monkeypatch.setattr(sample_movies, "PACKAGE", "bokeh_sampledata==1.0.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheels))
    return wheels


@pytest.fixture
def few_products(tmp_path, monkeypatch):
    """A shop that is read in seconds: all shoes, and some of the rest."""
    lines = SHOP.read_text("utf-8").splitlines()
    kept = [line for n, line in enumerate(lines) if n % 8 == 0 or "运动鞋" in line]
    path = tmp_path / "shop.jsonl"
    path.write_text("\n".join(kept), "utf-8")
    monkeypatch.setattr(demo_stock, "_shop_file", lambda: path)


@pytest.mark.model
def test_the_demo_tells_its_story_and_tells_it_again_without_pip(
    tmp_path, by_pip, few_products, capsys
):
    for name in demo.MODELS:
        real_model(name)
    db = tmp_path / "data" / "demo.db"
    demo.run(db, accept_license=True)
    story = capsys.readouterr().out

    assert "14 movies" in story
    assert re.search(r"“法国爱情片”.*\n.*read as: .*\bFrench\b(.*\n){1,3}.*Am[ée]", story)
    assert re.search(r"“运动鞋 三百以内”.*\n.*read as: price<=300", story)
    assert re.search(r"\d [↑↓=] ", story)
    assert not re.search(r"The Matrix \(1999\):\n(.*\d  .*\n)*.*\d  The Matrix  ", story)
    assert [line for line in story.splitlines() if width(line) > 80 and "--db" not in line] == []

    for command in re.findall(r"^ +(pyrec .*)$", story, re.M)[-3:]:
        said = subprocess.run(
            [sys.executable, "-m", *shlex.split(command)], capture_output=True, text=True
        )
        assert said.returncode == 0, said.stderr

    (by_pip / "bokeh_sampledata-1.0.0-py3-none-any.whl").unlink()
    demo.run(db, accept_license=True)
    again = capsys.readouterr()
    assert without_times(again.out) == without_times(story)
    assert again.err == ""


def without_times(story: str) -> str:
    return re.sub(r"[\d,]+ ms", "ms", story)


@pytest.mark.model
def test_reading_for_meaning_stops_where_it_was_told_and_is_not_done_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(vectors, "BATCH", 4)
    with open_recommender(
        tmp_path / "a.db", text_model=None, embedding_model=real_model(demo.MODELS[1])
    ) as rec:
        rec.add_items(sample_movies.read_movies(write_movies(tmp_path / "movies.db")))
        steps = [(at.done, at.total) for at in rec.index(n_vectors=6)]
        assert steps == [(4, 6), (6, 6)]
        assert list(rec.index(n_vectors=6)) == []
        assert sum(1 for _ in rec.index()) == 2  # the six that are left


def test_a_database_with_another_catalog_is_left_alone(tmp_path):
    path = tmp_path / "mine.db"
    with open_recommender(path, text_model=None, embedding_model=None) as rec:
        rec.add_items([Item("a", "Trail Running Shoes")])
        with pytest.raises(CatalogError, match="--db"):
            demo_stock.movies(rec, demo.MATRIX, tmp_path)
        assert [s.item_id for s in rec.recommend("shoes")] == ["a"]


def test_without_a_network_the_first_run_says_what_it_needs_and_leaves_nothing(tmp_path, by_pip):
    (by_pip / "bokeh_sampledata-1.0.0-py3-none-any.whl").unlink()
    folder = tmp_path / "data"
    with open_recommender(":memory:", text_model=None, embedding_model=None) as rec:
        with pytest.raises(ModelError, match=r"(?s)bokeh_sampledata.*network"):
            demo_stock.movies(rec, demo.MATRIX, folder)
        assert rec.catalog.count == 0
    assert list(folder.iterdir()) == []


def slate(*titles: str) -> Slate:
    reason = Reason("dense_history", 1.0, "Moon")
    return Slate(tuple(Suggestion(Item(t, t, attributes={"year": 2009.0}), 0.0, (reason,))
                       for t in titles))  # fmt: skip


def test_moves_name_the_place_before_and_the_way_it_went(capsys):
    demo_page.moves(slate("a", "b", "c"), slate("b", "a", "c", "新片"))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [line[:4] for line in lines] == [
        ["1", "2", "↑", "b"],
        ["2", "1", "↓", "a"],
        ["3", "3", "=", "c"],
        ["4", "new", "新片", "(2009)"],
    ]


def test_columns_stand_below_each_other_in_any_script(capsys):
    demo_page.answer(slate("Running Shoes", "女士厚底增高老爹鞋 百搭休闲运动鞋"), demo_page.movie)
    lines = capsys.readouterr().out.splitlines()[:2]
    assert len({width(line[: line.index("2009")]) for line in lines}) == 1


def test_terminals_are_not_steered_by_a_title(capsys):
    demo_page.answer(slate("Evil\x1b[2J\nmovie"), demo_page.movie)
    assert "\x1b[2J" not in capsys.readouterr().out
