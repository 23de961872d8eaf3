"""Will they like it? The two yes/no sets: a user's liked and disliked titles, and one title.

    python bench/yesno.py [--text-model NAME|none]

Five folds. A person's questions come one after the other in the files, each with the answers before
it in its history, so people are told apart by the titles that their histories share, and each goes
to one fold as a whole: the movies are of 14 people. A store gets the opinions of four folds, is
trained, and is then asked about the fifth, whose users bring their own titles only; all through the
public API. The text model's yes and no are weighed in a second step.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from common import CACHE, DATA, machine, need_data, open_store, table
from ratings import auc, error

import pyrec
from pyrec import Item, mixer
from pyrec.mixer import Mixer
from pyrec.tasks.yes_no import N_TOLD, ask_yes

PUBLISHED = {
    "movie": "TALLRec (LLaMA-7B) .675 after 64 samples, .720 after 256; classical .542",
    "book": "TALLRec (LLaMA-7B) .604 after 64 samples, .644 after 256; classical .502",
}
N_FOLDS = 5


@dataclass(frozen=True)
class Sample:
    """One question: what somebody liked and disliked, a title, and whether they liked it."""

    liked: list[str]
    disliked: list[str]
    title: str
    answer: bool


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--text-model", default="auto")
    arguments = parser.parse_args()
    need_data("yesno/movie.json", "yesno/book.json")
    print(machine())
    model = None if arguments.text_model == "none" else arguments.text_model
    rows = []
    for name in ("movie", "book"):
        samples = load(name)
        person = people(samples)
        print(f"{name}: {len(samples)} questions of {person.max() + 1} people; {PUBLISHED[name]}")
        answers = np.array([s.answer for s in samples], float)
        said, asked, ms = ask(name, samples, person, model)
        rate = np.array([(len(s.liked) + 1) / (len(s.liked) + len(s.disliked) + 2)
                         for s in samples])  # fmt: skip
        told = {"the user's share of likes": rate, "pyrec": said}
        if model:
            told["the text model alone"] = asked
            told["pyrec and the text model"] = together(said, asked, answers, person)
        for label, shares in told.items():
            low, high = interval(shares, answers, person)
            gap = error(list(zip(shares, answers, strict=True))) if "alone" not in label else ""
            rows.append([f"{name}: {label}", auc(list(zip(shares, answers, strict=True))),
                         f"[{low:.3f}, {high:.3f}]", gap, ms.get(label, "")])  # fmt: skip
    table("Yes or no, AUC with its interval over people, and calibration error",
          ["", "AUC", "interval", "error", "ms for 1"], rows)  # fmt: skip


def ask(
    name: str, samples: list[Sample], person: np.ndarray, model: str | None
) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Return P(yes) of each question, what the text model said, and milliseconds."""
    titles = sorted({t for s in samples for t in [*s.liked, *s.disliked, s.title]})
    items = [item_of(name, title) for title in titles]
    open_store(f"yesno-{name}", items, text_model=None).close()
    said, asked = np.empty(len(samples)), np.full(len(samples), np.nan)
    times: list[float] = []
    model_times: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(N_FOLDS):
            path = Path(folder) / f"{fold}.db"
            shutil.copy(CACHE / f"yesno-{name}.db", path)
            with pyrec.open(path, text_model=model) as rec:
                rec.add_events(opinions(samples, person, fold, learns=True))
                rec.train()
                rec.add_events(opinions(samples, person, fold, learns=False))
                for n in np.flatnonzero(person % N_FOLDS == fold):
                    began = time.perf_counter()
                    said[n] = rec.click([samples[n].title], user=f"asked {n}")[0].probability
                    times.append(1000 * (time.perf_counter() - began))
                    if model:
                        began = time.perf_counter()
                        asked[n] = yes_of(rec, samples[n])
                        model_times.append(1000 * (time.perf_counter() - began))
    ms = {"pyrec": f"{np.median(times):.1f}"}
    if model:
        ms["the text model alone"] = f"{np.median(model_times):.1f}"
    return said, asked, ms


def yes_of(rec: pyrec.Recommender, sample: Sample) -> float:
    """Return the text model's log P(yes) - log P(no) for a question."""
    told = (sample.liked[-N_TOLD:], sample.disliked[-N_TOLD:], [sample.title])
    return float(ask_yes(rec.models.text(), rec.prompts, "en", *told)[0])


def opinions(samples: list[Sample], person: np.ndarray, fold: int, *, learns: bool) -> list[dict]:
    """Return what people of the other folds said, or what each question of this one brings."""
    found: dict[tuple[str, str], str] = {}
    for n, sample in enumerate(samples):
        if (person[n] % N_FOLDS != fold) != learns:
            continue
        user = f"person {person[n]}" if learns else f"asked {n}"
        told = [(t, "like") for t in sample.liked] + [(t, "dislike") for t in sample.disliked]
        if learns:
            told.append((sample.title, "like" if sample.answer else "dislike"))
        found.update({(user, title): kind for title, kind in told})
    return [{"user": u, "item": t, "kind": kind} for (u, t), kind in found.items()]


def together(
    said: np.ndarray, asked: np.ndarray, answers: np.ndarray, person: np.ndarray
) -> np.ndarray:
    """Weigh what pyrec and the text model say, by weights from the other folds."""
    steady = (asked - asked.mean()) / max(asked.std(), 1e-6)
    values = np.full((len(said), 2, 2), 0.0, np.float32)
    odds = np.log(said / (1 - said))
    for column, signal in enumerate((odds, steady)):
        values[:, 0, column] = np.clip(0.5 - signal / 20, 0, 1)
        values[:, 1, column] = np.clip(0.5 + signal / 20, 0, 1)
    result = np.empty(len(said))
    for fold in range(N_FOLDS):
        learnt = person % N_FOLDS != fold
        target = np.stack([1 - answers[learnt], answers[learnt]], axis=1).astype(np.float32).ravel()
        groups = np.arange(learnt.sum() + 1, dtype=np.int64) * 2
        prior = Mixer(("said", "model"), {"said": (10.0, 0.0)})
        fitted, _ = mixer.fit(values[learnt].reshape(-1, 2), target, groups, prior, l2=1e-4)
        rest = values[~learnt].reshape(-1, 2)
        logprob = fitted.mix(
            rest, groups=np.arange((~learnt).sum() + 1, dtype=np.int64) * 2
        ).logprob
        result[~learnt] = np.exp(logprob.reshape(-1, 2)[:, 1])
    return result


def interval(shares: np.ndarray, answers: np.ndarray, person: np.ndarray) -> tuple[float, float]:
    """Return the 95% interval of the AUC, people drawn with replacement."""
    rng = np.random.default_rng(0)
    places: dict[int, list[int]] = defaultdict(list)
    for n, who in enumerate(person.tolist()):
        places[who].append(n)
    groups = [np.array(of) for of in places.values()]
    drawn = []
    for _ in range(300):
        some = np.concatenate([groups[g] for g in rng.integers(0, len(groups), len(groups))])
        drawn.append(auc(list(zip(shares[some], answers[some], strict=True))))
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))


def item_of(name: str, title: str) -> Item:
    """Make an item of a title: the year of a movie and the author of a book stand in it."""
    if name == "movie":
        match = re.search(r"\((\d{4})\)\s*$", title)
        return Item(title, title, attributes={"year": float(match[1])} if match else {})
    book, _, author = title.partition('" written by ')
    return Item(title, book.strip('"'), attributes={"author": author} if author else {})


def load(name: str) -> list[Sample]:
    """Read the questions of a set."""
    found = []
    for row in json.loads((DATA / "yesno" / f"{name}.json").read_text(encoding="utf-8")):
        liked, _, rest = row["input"].partition("\nUser Unpreference: ")
        disliked, _, asked = rest.partition("\nWhether the user will like the target ")
        title = asked.split(" ", 1)[1].removesuffix("?").strip('"')
        liked = liked.partition("User Preference: ")[2]
        found.append(Sample(_titles(liked), _titles(disliked), title, row["output"] == "Yes."))
    return found


def _titles(listed: str) -> list[str]:
    if '" written by ' in listed:
        parts = re.split(r', (?="[^"]*(?:"[^,]*?)?" written by )', listed)
        return [part.strip('"') for part in parts if part]
    return [part.strip('"') for part in listed.split('", "') if part.strip('"')]


def people(samples: list[Sample]) -> np.ndarray:
    """Number the people: two questions are of one where most titles of their histories agree."""
    parent = list(range(len(samples)))

    def root(n: int) -> int:
        while parent[n] != n:
            n = parent[n]
        return n

    holders: dict[str, list[int]] = defaultdict(list)
    for n, sample in enumerate(samples):
        titles = {*sample.liked, *sample.disliked}
        shared = Counter(other for title in titles for other in holders[title])
        for other, count in shared.items():
            size = min(len(titles), len(samples[other].liked) + len(samples[other].disliked))
            if count >= max(2, 0.6 * size):
                parent[root(n)] = root(other)
        for title in titles:
            holders[title].append(n)
    roots = [root(n) for n in range(len(samples))]
    number = {of: k for k, of in enumerate(dict.fromkeys(roots))}
    return np.array([number[of] for of in roots])


if __name__ == "__main__":
    main()
