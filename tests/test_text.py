import threading
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyrec import text

any_text = st.text(alphabet=st.characters(), max_size=60)


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("L'Oréal  Crème BRÛLÉE", "l'oreal creme brulee"),
        ("STRASSE Straße", "strasse strasse"),
        ("Ærø Łódź İstanbul", "aero lodz istanbul"),
        ("ＡＢＣ　１２３", "abc 123"),
        ("tab\tnul\x00bell\x07end\n", "tab nul bell end"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zero width"),
        ("women’s", "women's"),
        ("ёлка", "елка"),
    ],
)
def test_fold_removes_what_a_search_should_not_distinguish(written, folded):
    assert text.fold(written) == folded


def test_fold_keeps_marks_that_carry_meaning():
    assert text.fold("ガギ") != text.fold("カキ")
    assert text.fold("ｶﾞ") == "ガ"
    assert text.fold("한글") == "한글"
    assert text.fold("किताब") == "किताब"
    assert text.fold("йод") == "йод"


@given(any_text)
def test_folding_twice_changes_nothing(written):
    folded = text.fold(written)
    assert text.fold(folded) == folded


@given(any_text)
def test_case_never_changes_the_ascii_terms(written):
    if written.isascii():
        assert text.analyze(written.upper()) == text.analyze(written.lower())


@given(any_text, st.sampled_from(sorted(text.LANGUAGES)))
def test_any_string_gives_terms_that_can_be_hashed(written, language):
    terms = text.analyze(written, language)
    assert all(terms)
    assert text.hash_terms(terms).shape == (len(terms),)


def test_lone_surrogates_and_control_characters_are_no_terms():
    assert text.analyze("\ud800shoe\x00\x1bs") == ["shoe", "s"]
    assert text.analyze("\ud800\x00 \x7f") == []


def test_chinese_becomes_characters_and_overlapping_bigrams():
    assert text.analyze("led运动鞋") == ["led", "运", "运动", "动", "动鞋", "鞋"]
    assert text.analyze("鞋") == ["鞋"]


@pytest.mark.parametrize("written", ["靴下", "운동", "เท้า"])
def test_other_scripts_without_spaces_share_their_bigrams_with_longer_words(written):
    assert set(text.analyze(written)) <= set(text.analyze("x" + written + "y" + written))


def test_singular_and_plural_share_a_term():
    assert text.analyze("Running shoes") == text.analyze("run shoe")
    assert text.analyze("women's") == text.analyze("womens")
    assert text.analyze("zapatos", "es") == text.analyze("zapato", "es")
    assert text.analyze("красивая", "en") == text.analyze("красивые", "en")


def test_a_language_changes_latin_stems_only():
    assert text.analyze("运动鞋 туфли", "fr") == text.analyze("运动鞋 туфли", "en")
    assert text.analyze("l'eau", "fr")[0] == "l"


def test_codes_with_digits_are_left_whole():
    assert text.analyze("CB335WNS dv7s") == ["cb335wns", "dv7s"]


def test_an_unknown_language_is_named():
    with pytest.raises(ValueError, match="'english'"):
        text.analyze("shoes", "english")


def test_words_are_folded_but_not_stemmed():
    assert text.words("Men's Running-Shoes 运动鞋!") == ["mens", "running", "shoes", "运动鞋"]


def test_vowel_signs_stay_inside_their_word():
    assert text.words("हिन्दी जूते") == ["हिन्दी", "जूते"]


def test_hashes_are_crc32_on_every_platform():
    assert text.term_hash("鞋") == zlib.crc32("鞋".encode())
    assert text.hash_terms(["shoe", "鞋"]).tolist() == [
        text.term_hash("shoe"),
        text.term_hash("鞋"),
    ]
    assert text.hash_terms([]).dtype == np.uint32


def test_caches_stay_bounded(monkeypatch):
    monkeypatch.setattr(text, "_MAX_CACHED", 10)
    for n in range(100):
        text.hash_terms(text.analyze(f"word{n}", "da"))
    assert len(text._stems("da")) <= 10


def test_a_huge_word_is_cut_and_not_cached():
    (term,) = text.analyze("a" * 100_000)
    assert len(term) <= 40
    assert "a" * 100_000 not in text._stems("auto")


def test_stems_are_the_same_from_many_threads():
    sources = ["generalization", "organizing", "happiness", "relational"]
    vocabulary = [f"{source}{suffix}" for source in sources for suffix in "abcdefgh"]
    expected = [text.analyze(word, "pt") for word in vocabulary]
    text._stems.cache_clear()
    seen: list[bool] = []

    def stem_all():
        seen.append([text.analyze(word, "pt") for word in vocabulary] == expected)

    threads = [threading.Thread(target=stem_all) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [True] * 8


@pytest.mark.parametrize(
    ("titles", "language"),
    [
        (["运动鞋 Nike 男款", "纯棉polo衫"], "zh"),
        (["ランニングシューズ 靴", "運動靴のセット"], "ja"),
        (["운동화 나이키"], "ko"),
        (["Кроссовки Nike мужские"], "ru"),
        (["Running shoes for men", "La Mer cream"], "en"),
        (["Schuhe für die Dame", "Tisch und Stuhl aus Holz"], "de"),
        (["zapatos de mujer para el verano", "mesa con sillas"], "es"),
        (["chaussures pour la femme", "crème avec des huiles"], "fr"),
        (["12345", "!!!", ""], "en"),
        ([], "en"),
    ],
)
def test_the_language_of_a_catalog_is_found_from_its_titles(titles, language):
    assert text.main_script(titles) == language
