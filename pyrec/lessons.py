"""What an event teaches: the questions that it answers, as choices for the mixer.

Whoever takes something answers what to recommend to them: from the list that they were shown, with
the places in it, or, where none of late showed it, from what the signals would have named. A
rating, a like and a dislike also answer what `click` and `rating` ask. Evidence is from before the
event, so the same log gives the same lessons.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from pyrec.interactions import TAKEN
from pyrec.mixer import Choice, depth_features, depth_of, key_of, shipped_theta
from pyrec.opinions import YES, read_person
from pyrec.ranking import Ranker, shares_of
from pyrec.shown import PLACE, PLACE_PRIOR, Shown
from pyrec.signals.base import F32
from pyrec.signals.titles import Titles
from pyrec.steps import Prior
from pyrec.tasks.base import Context, make_ask
from pyrec.tasks.click import ClickTask
from pyrec.tasks.ordinal import OrdinalTask
from pyrec.tasks.rating import RatingTask
from pyrec.types import Event

_HEADS: tuple[type[OrdinalTask[Any]], ...] = (ClickTask, RatingTask)
HEADS_LEARN = 0.3
"""How much of an event the weights of `click` and `rating` take."""
WORDS_LEARN = 0.1
"""How much of a choice from a list for words the weights that all share take. In full, a hundred
likes on viewers' words gave such words nothing beyond chance, and half of the movies were no longer
found by halves of their titles (`bench/answers.py`); `train_words.py` has titles stand beside."""
_EXPLICIT = ("like", "dislike", "skip", "rating")
"""Kinds that answer whether somebody says yes. A click or a purchase does too, but nobody logs what
was not clicked: learned one by one, they would say that everybody always does."""


def prior() -> Prior:
    """Return the weights, by key, of what nothing was learned for yet."""
    found = {PLACE: PLACE_PRIOR, **shipped_theta()}
    for head in _HEADS:
        found |= {key_of(head.name, s): row for s, row in shipped_theta(head.name).items()}
    return found


def lessons(
    event: Event, context: Context, shown: Shown | None, *, lost: bool = False
) -> list[Choice]:
    """Return what an event teaches, before it is in the log; empty for nothing.

    Args:
        event: not yet logged.
        context: the store without the event.
        shown: the list that the item was chosen from, None for none.
        lost: whether there was one that is no longer known.
    """
    found = []
    if event.kind in TAKEN and not lost:
        choice = _from_list(event, context, shown) if shown else _from_all(event, context)
        if choice is not None:
            found.append(choice)
    if event.kind in _EXPLICIT and context.catalog.idxs([event.item_id])[0] >= 0:
        found += [c for head in _HEADS if (c := _of_opinion(head, event, context)) is not None]
    return found


def _from_list(event: Event, context: Context, shown: Shown) -> Choice | None:
    """Return the choice among what was shown and not taken yet; None where nothing else is left."""
    items = shown.items[: shown.n_shown]
    taken = context.questions.taken_among(event.user_id, items)
    left = [place for place, item in enumerate(items) if item not in taken]
    if event.item_id in taken or len(left) < 2:
        return None
    choice = shown.choice(event.item_id, left, weighs_of(shown))
    return replace(choice, weight=WORDS_LEARN) if shown.words else choice


def weighs_of(shown: Shown) -> F32:
    """Return how much of each signal's weights a list teaches, (n_signals,) float32."""
    # What the text model makes of titles costs too much to be asked because of clicks.
    weighs = shares_of(shown.names, words=shown.words) * [n != Titles.name for n in shown.names]
    return weighs.astype(np.float32)


def _from_all(event: Event, context: Context) -> Choice | None:
    """Return the choice among what the signals name; None where they do not name the item.

    Lists leave out what was taken, so taking it again says nothing of them; and of a newcomer there
    is nothing to go by.
    """
    if context.questions.taken_among(event.user_id, [event.item_id]):
        return None
    ranker: Ranker = context.weights.learning
    question = context.questions.past(event.user_id)
    if not len(question.taken):
        return None
    pool = np.sort(ranker.answers(question))
    chosen = np.flatnonzero(pool == context.catalog.idxs([event.item_id])[0])
    if not len(chosen) or len(pool) < 2:
        return None
    x = depth_features(ranker.values(question, pool), depth_of(len(question.taken)))
    return Choice(ranker.mixer.names, x, int(chosen[0]), own=True)


def _of_opinion(head: type[OrdinalTask[Any]], event: Event, context: Context) -> Choice | None:
    """Return the choice among the levels of a scale; None where the event names none of them."""
    if head is RatingTask and event.kind != "rating":
        return None
    task = head(context)
    x = task.encode(make_ask(user=event.user_id, items=(event.item_id,)))
    known = [(event.item_id, event.kind, event.value)]
    (opinion,) = read_person(known, x.state.scale).values()
    if head is ClickTask:
        chosen = int(opinion > YES)
    else:
        chosen = int(np.abs(x.levels.opinions - opinion).argmin())
    answers = task.answers(x)
    names = tuple(key_of(task.name, signal) for signal in task.signals)
    phi = depth_features(answers.values, answers.context)
    return Choice(names, phi, chosen, weight=HEADS_LEARN)
