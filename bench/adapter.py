"""What a text model adapted to a catalog is worth, before and after, with 95% intervals.

    python bench/adapter.py tags               titles by beam for words of viewers: nDCG@10
    python bench/adapter.py histories DATA     re-ranking what the mixer put first: nDCG@10

Each trains an adapter first (`--minutes`, on one thread), never on what is asked: neither the words
of the query sets nor validation and test of histories. `histories` fits the weight of log P(title |
history) beside the mixer's own log-probability by maximum likelihood on validation questions, over
the 50 items that stand first, and asks test questions; there the probability is normalized over the
tokens of the catalog's titles alone. Stores and adapters are kept in build/bench/adapter.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import query_sets as sets_of
import torch
from common import CACHE, machine, table
from histories_data import EVERY, DataSet

import pyrec
from pyrec import metrics, model_folder
from pyrec.adapter.config import AdapterConfig
from pyrec.adapter.examples import Example
from pyrec.adapter.export import export
from pyrec.adapter.fit import fit
from pyrec.adapter.histories import HistoryTokens, history_examples
from pyrec.adapter.judge import judge
from pyrec.adapter.network import Network, load_network
from pyrec.adapter.packing import pack
from pyrec.adapter.training import Taught, gather, judged_of
from pyrec.bootstrap import Interval, bootstrap, paired_bootstrap
from pyrec.lm import LanguageModel
from pyrec.prompts import Prompts
from pyrec.replay import read_log
from pyrec.signals.titles import Titles
from pyrec.types import Event

FOLDER = CACHE / "adapter"
N_POOL = 50


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", default="tags", choices=("tags", "histories"))
    parser.add_argument("data", nargs="?", default="movielens", choices=("movielens", "office"))
    parser.add_argument("--model", default="gemma3-270m")
    parser.add_argument("--minutes", type=float, default=12.0)
    parser.add_argument("--questions", type=int, default=250, help="of a test of histories")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    print(machine())
    path = model_folder.find(arguments.model).path
    config = AdapterConfig(minutes=arguments.minutes)
    if arguments.what == "tags":
        tags(path, config)
    else:
        histories(path, arguments.data, config, arguments.questions)


# Tags


def tags(path: Path, config: AdapterConfig) -> None:
    """Train on the training histories and the genres; the tags stand nowhere."""
    data, queries = EVERY["movielens"](), sets_of.tags()
    with open_histories(data, refit=False) as rec:
        log = read_log(rec.events)
    with pyrec.open(FOLDER / "movies.db", text_model=path, embedding_model=None) as rec:
        if not rec.catalog.count:
            rec.add_items(sets_of.movies())
        model = rec.models.text()
        before = generated(rec, queries)
        taught = Taught(rec.catalog, rec.prompts, "en", log)
        model.adapt(train(path, gather(model, taught, config), config, model))
        after = generated(rec, queries)
    head = ["before", "after", "gain"]
    table("Tags, titles by beam, nDCG@10", ["", *head], [["", *compared(after, before)]])


def generated(rec: pyrec.Recommender, queries: sets_of.QuerySet) -> np.ndarray:
    signal, found = Titles(), []
    for text, gains in queries.queries.items():
        question = rec.question(text)
        question.model = rec.models.text()
        rows = signal.admit(question, 100).tolist()
        ids = rec.catalog.ids(rows)
        found.append(queries.measure([ids[row] for row in rows], gains))
    return np.array(found)


def of_histories(
    model: LanguageModel, data: DataSet, config: AdapterConfig, share: float = 1.0
) -> list[Example]:
    with open_histories(data, refit=False) as rec:
        log = read_log(rec.events)
    titles = {item.item_id: item.title for item in data.items}
    tokens = HistoryTokens(model, Prompts().table("en", "history"))
    made = history_examples(log, titles, tokens, config.held_out)
    rng = np.random.default_rng(0)
    return [e for e in made if e.held_out or rng.random() < share]


# Histories


def histories(path: Path, name: str, config: AdapterConfig, n_questions: int) -> None:
    data = EVERY[name]()
    rng = np.random.default_rng(0)
    model = LanguageModel(path, n_ctx=1024)
    tokens = HistoryTokens(model, Prompts().table("en", "history"))
    share = 0.25 if name == "movielens" else 1.0
    examples = of_histories(model, data, config, share)
    learned: list[dict] = []
    train(path, examples, replace(config, epochs=1 if name == "movielens" else 2), model, learned)
    valid = listed(data, data.valid, min(150, n_questions), refit=False)
    test = listed(data, data.test, n_questions, refit=True)
    alone = ranked(test, np.ones(1), [0])
    rows = [["mixer alone", f"{_of(bootstrap(alone, rng))}", ""]]
    texts = sorted({t for t in (i.title for i in data.items) if t})
    among = np.unique(np.concatenate([tokens.title(t) for t in texts])).astype(np.int64)
    for label, weights in (("model as it comes", None), ("adapted model", learned[0])):
        rank = config.rank if weights else 0
        network = load_network(
            path, rank=rank, alpha=config.alpha, targets=config.targets, dtype=torch.bfloat16
        )
        if weights:
            network.load_state_dict({n: torch.from_numpy(a) for n, a in weights.items()})
        for part in (valid, test):
            for each in part:
                read(each, network, tokens, torch.from_numpy(among))
        by_text = ranked(test, np.ones(1), [1])
        rows.append([f"{label}, alone", *compared(by_text, alone)[1:]])
        theta = fitted(valid)
        beside = ranked(test, theta, [0, 1, 2])
        told = ", ".join(f"{w:.2f}" for w in theta)
        rows.append([f"mixer and {label}, theta {told}", *compared(beside, alone)[1:]])
    table(f"{name}, {len(test)} questions, nDCG@10", ["", "", "minus mixer alone"], rows)
    model.close()


class Listed:
    """One question: its history's titles, the 50 items that stand first, and the answers.

    `values` (n, 3): log-probability by the mixer, by the text model after the history, and without.
    """

    def __init__(self, history: list[str], ids: list[str], titles: list[str], mix, answers) -> None:
        self.history, self.ids, self.titles, self.answers = history, ids, titles, set(answers)
        self.values = np.stack([mix, np.zeros(len(ids)), np.zeros(len(ids))], axis=1)


def open_histories(data: DataSet, *, refit: bool) -> pyrec.Recommender:
    path = FOLDER / f"{data.name}-{'refit' if refit else 'train'}.db"
    rec = pyrec.open(path, text_model=None, embedding_model=None)
    if not rec.catalog.count:
        rec.add_items(data.items)
        taken = data.refit if refit else data.train
        times = data.refit_times if refit else data.train_times
        rec.add_events(
            Event(f"u{u}", data.items[i].item_id, "purchase", None, float(at))
            for u, history in enumerate(taken)
            for i, at in zip(history, times[u] if times else np.zeros(len(history)), strict=True)
        )
        rec.train()
    return rec


def listed(data: DataSet, asked: list, n: int, *, refit: bool) -> list[Listed]:
    found = []
    rows = np.random.default_rng(7).permutation(len(asked))[:n]
    with open_histories(data, refit=refit) as rec:
        for each in (asked[row] for row in rows if len(asked[row].history)):
            items = [data.items[i] for i in each.history]
            slate = rec.recommend(history=[item.item_id for item in items], k=N_POOL)
            found.append(
                Listed(
                    [item.title for item in items if item.title],
                    [s.item_id for s in slate],
                    [s.title or "?" for s in slate],
                    np.array([s.score for s in slate]),
                    [data.items[i].item_id for i in each.answers],
                )
            )
    return found


@torch.no_grad()
def read(each: Listed, network: Network, tokens: HistoryTokens, among: torch.Tensor) -> None:
    """Fill in what the text model says of each title, among the tokens of the catalog."""
    for column, asked in ((1, tokens.ask(each.history)), (2, tokens.start)):
        texts = [np.concatenate([asked, tokens.title(title)]) for title in each.titles]
        packed = pack([Example("history", text, len(asked)) for text in texts])
        hidden = network(packed.read)[packed.asked]
        same = (among, torch.zeros(len(among)))
        logprobs = network.logprobs(hidden, packed.wanted, same)
        each.values[:, column] = np.bincount(packed.example.numpy(), logprobs.numpy(), len(texts))


def fitted(questions: list[Listed]) -> np.ndarray:
    """Fit the weights of the three columns by maximum likelihood, near those of the mixer alone."""
    told = []
    for each in questions:
        target = np.array([float(i in each.answers) for i in each.ids])
        if target.sum():
            told.append((torch.from_numpy(each.values), torch.from_numpy(target / target.sum())))
    start = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    theta = start.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([theta], max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        losses = [-(y * torch.log_softmax(x @ theta, 0)).sum() for x, y in told]
        loss = torch.stack(losses).mean() + 1e-3 * ((theta - start) ** 2).sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return theta.detach().numpy()


def ranked(questions: list[Listed], theta: np.ndarray, columns: list[int]) -> np.ndarray:
    found = []
    for each in questions:
        order = np.argsort(-(each.values[:, columns] @ theta), kind="stable")
        gains = dict.fromkeys(each.answers, 1.0)
        found.append(metrics.ndcg([each.ids[n] for n in order], gains, 10))
    return np.array(found)


# All


def train(
    path: Path,
    examples: list[Example],
    config: AdapterConfig,
    model: LanguageModel,
    learned: list | None = None,
) -> bytes:
    """Train an adapter, say what it does for held-out answers, and return it."""
    fitted_ = fit(path, examples, config, told_on_stderr("training"))
    if learned is not None:
        learned.append(fitted_.learned)
    data = export(fitted_.learned, fitted_.architecture, config.alpha)
    judged = judged_of(examples, 300)
    gains = judge(model, data, judged, told_on_stderr("judging"))
    rows = [[g.kind, g.n, f"{g.before:.2f}", f"{g.after:.2f}", _of(g.gain)] for g in gains]
    title = f"Nats a held-out answer, {fitted_.steps} of {fitted_.n_steps} steps"
    title += f" ({fitted_.why_ended}), {fitted_.seconds:.0f} s, {len(data) / 1e6:.1f} MB"
    table(title, ["", "texts", "before", "after", "gain"], rows)
    return data


def compared(after: np.ndarray, before: np.ndarray) -> list[str]:
    rng = np.random.default_rng(0)
    gain = paired_bootstrap(after, before, rng)
    return [_of(bootstrap(before, rng)), _of(bootstrap(after, rng)), _of(gain)]


def _of(found: Interval) -> str:
    return f"{found.mean:.4f} [{found.low:.4f}, {found.high:.4f}]"


def told_on_stderr(what: str):
    return lambda share: print(f"\r{what} {share:.0%}   ", end="", file=sys.stderr)


if __name__ == "__main__":
    main()
