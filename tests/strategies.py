"""Hypothesis strategies for the values of `pyrec.types`."""

from __future__ import annotations

from hypothesis import strategies as st

from pyrec.types import EVENT_KINDS, Event, Item

# All of Unicode but lone surrogates and NUL, which are replaced; control characters included.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
amounts = st.none() | st.floats(0, 1e12)
ids = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    str.strip
)
_lists = st.lists(texts.filter(bool), min_size=1, max_size=3, unique=True).map(tuple)
attributes = st.dictionaries(
    texts.filter(str.strip),
    texts.filter(bool) | st.floats(allow_nan=False, allow_infinity=False) | _lists,
    max_size=4,
)


def items(item_ids: st.SearchStrategy[str] = ids) -> st.SearchStrategy[Item]:
    """Items in the form in which the catalog gives them back."""
    return st.builds(Item, item_ids, texts, texts, amounts, amounts, attributes)


def events(
    user_ids: st.SearchStrategy[str] = ids, item_ids: st.SearchStrategy[str] = ids
) -> st.SearchStrategy[Event]:
    """Events that have not been stored."""
    return st.builds(
        Event,
        user_ids,
        item_ids,
        st.sampled_from(EVENT_KINDS),
        st.floats(-10, 10),
        st.floats(1, 4e9),
        st.none() | texts.filter(bool),
    )
