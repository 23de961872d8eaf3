from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import texts

from pyrec.cli.width import fit, pad, printable, width


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("", 0),
        ("shoes", 5),
        ("运动鞋", 6),
        ("ＡＢ", 4),
        ("café", 4),
        ("cafe\u0301", 4),
        ("한국", 4),
    ],
)
def test_width_counts_columns_of_a_terminal(text: str, columns: int) -> None:
    assert width(text) == columns


def test_a_cut_text_says_so_and_never_splits_a_wide_character() -> None:
    assert fit("运动鞋", 6) == "运动鞋"
    assert fit("运动鞋", 5) == "运动…"
    assert fit("运动鞋", 4) == "运…"
    assert fit("shoes", 4) == "sho…"


def test_padding_reaches_the_column_on_either_side() -> None:
    assert pad("运动", 6) == "运动  "
    assert pad("12", 6, right=True) == "    12"


def test_printable_text_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\r\nc\td\u2028e") == "a [2Jb c d e"


@given(texts, st.integers(1, 30))
def test_a_fitted_text_fits_and_a_padded_one_has_its_width(text: str, columns: int) -> None:
    fitted = fit(printable(text), columns)
    assert width(fitted) <= columns
    assert width(pad(fitted, columns)) == columns
