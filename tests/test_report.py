import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from pyrec import report
from pyrec.evaluation import Evaluation


class Page(HTMLParser):
    """Keeps texts and tags, and refuses a tag that is closed out of turn."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)

    def of_class(self, name):
        return [attrs for _, attrs in self.seen if name in attrs.get("class", "").split()]


def evaluation(first="pyrec", **more):
    rng = np.random.default_rng(0)
    ndcg = rng.random(60) * 0.8 + 0.1
    return Evaluation.from_values(
        {
            first: {"ndcg": ndcg, "novelty": [math.nan] * 60},
            "popular": {"ndcg": ndcg * 0.5, "novelty": [math.nan] * 60},
        },
        left_out={
            "content": {"ndcg": ndcg - 0.1, "novelty": [math.nan] * 60},
            "noise": {"ndcg": ndcg + 0.1, "novelty": [math.nan] * 60},
            "dense": {"ndcg": rng.permutation(ndcg), "novelty": [math.nan] * 60},
        },
        list_metrics={first: {"coverage": 0.25}},
        settings={"k": 10, "seen": "removed", "date": "2026-01-31", "cold": None, "refit": True},
        rng=rng,
        **more,
    )


def test_a_page_is_well_formed_and_says_what_was_measured():
    page = Page(report.html(evaluation()))
    told = " ".join(page.texts)
    for text in ("nDCG", "Coverage", "popular", "0.2500", "2026-01-31", "removed", "60", "95%"):
        assert text in told, text


def test_a_page_needs_nothing_from_elsewhere_and_runs_nothing():
    text = report.html(evaluation())
    assert not re.search(r"https?:|url\(|@import|<script|<link|<img| src=| on\w+=", text)


def test_a_page_follows_the_light_or_dark_of_the_reader():
    assert "prefers-color-scheme: dark" in report.html(evaluation())


def test_names_and_settings_cannot_become_markup():
    text = report.html(evaluation('<b>"x" & y</b>'))
    Page(text)
    assert "<b>&quot;" not in text
    assert "&lt;b&gt;" in text


def test_the_highest_of_a_row_is_bold():
    text = report.html(evaluation())
    (best,) = re.findall(r"<b>(0\.\d+)</b><small>", text)
    assert float(best) == pytest.approx(evaluation().as_rows()[0]["ndcg"], abs=1e-4)


def test_bars_are_as_long_as_the_means_they_show():
    page = Page(report.html(evaluation()))
    ours, popular = (float(bar["width"]) for bar in page.of_class("bar"))
    assert popular == pytest.approx(ours / 2, abs=0.2)


def test_differences_are_marked_only_where_chance_does_not_explain_them():
    page = Page(report.html(evaluation()))
    marks = [dot["class"].split()[1:] for dot in page.of_class("dot")]
    assert marks == [["above"], ["above"], ["below"], []]


def test_what_is_not_defined_is_a_dash():
    told = Page(report.html(evaluation())).texts
    assert "–" in told
    assert "nan" not in " ".join(told)


def test_one_system_alone_makes_a_page_without_comparisons():
    found = Evaluation.from_values({"pyrec": {"mine": [0.0, 0.0]}}, rng=np.random.default_rng(0))
    page = Page(report.html(found))
    told = " ".join(page.texts)
    assert "mine" in told
    assert "ahead" not in told
    assert "signal" not in told
