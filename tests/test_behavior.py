"""The parts of the behavior model: streams, content, the body in PyTorch and in llama.cpp."""

from __future__ import annotations

import numpy as np
import pytest

import pyrec
from pyrec.behavior.config import BehaviorConfig
from pyrec.behavior.content import Content, center_of, choose_words, content_of, read_terms
from pyrec.behavior.export import export
from pyrec.behavior.fit import fit
from pyrec.behavior.model import BehaviorModel
from pyrec.behavior.network import Network
from pyrec.behavior.state import BehaviorState
from pyrec.behavior.streams import (
    Judged,
    Streams,
    action_of,
    epoch,
    nearest_action,
    neighbors,
    window_start,
    windows,
)
from pyrec.errors import EventError, ModelFileError, StoreError
from pyrec.vectors import quantize

torch = pytest.importorskip("torch")
torch.set_num_threads(1)  # with two, small steps wait for each other on a busy machine

SMALL = BehaviorConfig(width=32, feed_forward=64, length=10, min_steps=40, batch_events=64)


def streams_of(*histories, actions=None, n_items=None):
    ptr = np.cumsum([0, *map(len, histories)]).astype(np.int64)
    item = np.concatenate([np.array(h, np.int32) for h in histories])
    how = np.zeros(len(item), np.int32) if actions is None else np.concatenate(actions)
    n_actions = 1 if actions is None else int(how.max()) + 1
    return Streams(ptr, item, how.astype(np.int32), n_items or int(item.max()) + 1, n_actions)


def nothing(n, dim=0):
    empty = np.empty(0, np.int32), np.empty(0, np.float32)
    return Content(np.zeros(n + 1, np.int64), *empty, np.zeros((n, dim), np.float32))


def chains(n_users, rng, n_items=20):
    """Users who walk along a ring from somewhere."""
    return streams_of(
        *((start + np.arange(6)) % n_items for start in rng.integers(n_items, size=n_users)),
        n_items=n_items,
    )


# Streams


@pytest.mark.parametrize("length", [2, 10, 50])
def test_each_event_but_the_first_is_foretold_once_and_from_what_is_read_later(length):
    streams = streams_of(*(np.zeros(n) for n in (1, 2, 10, 11, 49, 50, 51, 137)))
    foretold = np.zeros(len(streams.item), int)
    for window in windows(streams, length):
        assert window.begin < window.first < window.end <= window.begin + length
        foretold[window.first : window.end] += 1
    first = np.zeros(len(foretold), bool)
    first[streams.ptr[:-1]] = True
    assert (foretold[~first] == 1).all()
    assert (foretold[first] == 0).all()


def test_a_window_moves_on_half_its_length_at_a_time():
    starts = [window_start(n, 10) for n in range(40)]
    assert starts[:11] == [0] * 11
    assert set(np.diff(starts)) == {0, 5}
    assert all(5 < n - start <= 10 for n, start in enumerate(starts) if n > 10)


def test_an_epoch_holds_all_windows_and_differs_from_the_next(rng):
    streams = streams_of(*(np.zeros(n) for n in rng.integers(2, 9, 300)))
    cut = windows(streams, 10)
    one, two = (list(epoch(streams, cut, 64, np.random.default_rng(n))) for n in (0, 1))
    for batches in (one, two):
        assert sorted((w for b in batches for w in b), key=lambda w: w.begin) == cut
    assert one != two


def test_actions_are_tokens_only_where_they_differ():
    plain = streams_of([3, 1])
    assert plain.tokens(0, 2).tolist() == [3, 1]
    rated = streams_of([3, 1], actions=[np.array([0, 1])])
    assert rated.tokens(0, 2).tolist() == [3, 4, 1, 5]


def test_actions_are_named_by_kind_and_rating():
    named = [action_of("like", None), action_of("rating", 4.0), action_of("rating", 3.5)]
    assert named == ["like", "rating 4", "rating 3.5"]


def test_an_unknown_action_is_read_as_the_nearest_rating_or_the_usual_one():
    known = ("click", "rating 1", "rating 5")
    asked = ("rating 5", "rating 3.1", "rating 2.9", "like", "click")
    assert [nearest_action(name, known) for name in asked] == [2, 2, 1, 0, 0]
    assert nearest_action("rating 3", ("like",)) == 0


def test_neighbors_are_what_stands_near_and_shares_sum_to_one():
    near, share = neighbors(streams_of([0, 1, 2], [0, 1], [3], n_items=5), 3)
    assert share.sum(axis=1) == pytest.approx(np.ones(5))
    assert near[0, 0] == 1  # twice beside it, once from afar for 2
    assert set(near[0][share[0] > 0].tolist()) == {1, 2}
    assert near[3, 0] == 3  # nothing stands near: itself
    assert share[3, 0] == 1.0


# The body


def network(n_items=12, n_actions=1, config=SMALL, seed=0):
    torch.manual_seed(seed)
    made = Network(n_items, n_actions, nothing(n_items), 0, config).eval()
    for block in made.blocks:  # norms of 1 would not show whether they are read
        torch.nn.init.uniform_(block.attn_norm.weight, 0.5, 1.5)
        torch.nn.init.uniform_(block.ffn_norm.weight, 0.5, 1.5)
    torch.nn.init.uniform_(made.output_norm.weight, 0.5, 1.5)
    return made


def run(made, kind):
    rows = quantize(made.raw_rows().detach().numpy())[0]
    bias = made.bias.detach().numpy()
    return BehaviorModel(export(made, kind=kind), rows, bias, 10.0, 40)


def states(made, model, tokens):
    """Return the hidden states by PyTorch, from the rows that llama.cpp gets."""
    rows = torch.from_numpy(model._vectors(tokens))[None] / made.config.width**0.5
    with torch.no_grad():
        return made(rows)[0].numpy()


@pytest.mark.model
@pytest.mark.parametrize(("n_layers", "n_heads"), [(1, 1), (2, 2)])
def test_hidden_states_through_llama_cpp_agree(n_layers, n_heads):
    config = BehaviorConfig(width=64, n_layers=n_layers, n_heads=n_heads, feed_forward=96)
    made = network(config=config)
    tokens = np.array([3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9], np.int32)
    model = run(made, "F32")
    assert np.abs(model.hidden(tokens) - states(made, model, tokens)).max() < 1e-3
    small = run(made, "Q8_0")
    assert np.abs(small.hidden(tokens) - states(made, small, tokens)).max() < 3e-2
    model.close()
    small.close()


@pytest.mark.model
def test_reading_goes_on_from_what_is_kept_and_says_the_same():
    model, fresh = run(network(), "Q8_0"), run(network(), "Q8_0")
    decoded = []
    fill = model._fill
    model._fill = lambda tokens, *rest: (decoded.append(len(tokens)), fill(tokens, *rest))
    history = [3, 1, 4, 1, 5]
    for n in range(1, 6):
        kept = model.read(history[:n])
        whole = fresh.prompt(np.array(history[:n], np.int32), fresh.slot([]))
        assert kept == pytest.approx(whole, abs=1e-3)
    assert decoded == [1] * 5
    model.read([7, 7])  # another user
    model.read([*history, 2])
    assert decoded == [1] * 5 + [2, 1]
    model.close()
    fresh.close()


@pytest.mark.model
def test_more_users_than_are_kept_are_all_answered_right():
    model = run(network(), "Q8_0")
    for user in [*range(12), *range(12)]:
        assert model.read([user, 3, user]).argmax() == run_once([user, 3, user]).argmax()
    model.close()


def run_once(history):
    model = run(network(), "Q8_0")
    found = model.read(history)
    model.close()
    return found


@pytest.mark.model
def test_branches_continue_a_history_each_in_its_own_way():
    model = run(network(), "Q8_0")
    history = [3, 1, 4]
    with model.lock:
        slot = model.slot(history)
        model.prompt(np.array(history, np.int32), slot)
        one = model.grow([slot, slot], [[5], [6]]).copy()
        two = model.grow([1, 0], [[7], [8]]).copy()
    for found, path in zip([*one, *two], [[5], [6], [6, 7], [5, 8]], strict=True):
        assert found == pytest.approx(run_once([*history, *path]), abs=1e-2)
    model.close()


# Training


def rank_of_next(made, history):
    rows = made.rows()
    with torch.no_grad():
        hidden = made(rows[torch.tensor([history])])[0, -1]
        scores = 10.0 * rows[: made.n_items] @ hidden + made.bias[: made.n_items]
    scores[history] = -np.inf
    return int((scores > scores[(history[-1] + 1) % made.n_items]).sum())


def test_training_learns_what_follows(rng):
    fitted = fit(chains(200, rng), nothing(20), 0, None, SMALL, lambda share: None)
    ranks = [rank_of_next(fitted.network, [n, n + 1, n + 2]) for n in range(16)]
    assert np.mean(ranks) < 1.0


def test_a_seed_gives_the_same_model_and_another_one_another(rng):
    streams = chains(60, rng)
    configs = [SMALL, SMALL, BehaviorConfig(**{**vars(SMALL), "seed": 1})]
    one, same, other = (
        fit(streams, nothing(20), 0, None, config, lambda share: None).network.learned.detach()
        for config in configs
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_histories_of_one_event_are_refused(rng):
    alone = streams_of([1], [2])
    with pytest.raises(EventError, match="two events"):
        fit(alone, nothing(3), 0, None, SMALL, lambda share: None)


class Killed(BaseException):
    """Stands for a process that ends."""


@pytest.mark.parametrize("at", [0.2, 0.9])
def test_an_interrupted_training_ends_with_the_same_model(rng, tmp_path, monkeypatch, at):
    streams = chains(60, rng)
    judged = Judged(chains(30, rng), [np.array([7], np.int32)] * 30)

    config = BehaviorConfig(**{**vars(SMALL), "patience": 99})

    def train(progress, checkpoint=None):
        return fit(streams, nothing(20), 0, judged, config, progress, checkpoint=checkpoint)

    def stop(share):
        if share > at:
            raise Killed

    whole = train(lambda share: None)
    monkeypatch.setattr("pyrec.behavior.fit.CHECKPOINT_S", 0.0)
    with pytest.raises(Killed):
        train(stop, tmp_path / "kept")
    began = []
    resumed = train(began.append, tmp_path / "kept")
    assert began[0] > at
    assert resumed.steps == whole.steps
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])


def test_a_checkpoint_of_other_data_is_not_gone_on_from_and_a_damaged_one_is_told(rng, tmp_path):
    kept = tmp_path / "kept"
    fit(chains(60, rng), nothing(20), 0, None, SMALL, lambda share: None, checkpoint=kept)
    shares = []
    fit(chains(50, rng), nothing(20), 0, None, SMALL, shares.append, checkpoint=kept)
    assert shares[0] < 0.1
    for damaged in (kept.read_bytes()[:1000], b"something else", b""):
        kept.write_bytes(damaged)
        with pytest.raises(StoreError, match="remove it to train from the beginning"):
            fit(chains(50, rng), nothing(20), 0, None, SMALL, shares.append, checkpoint=kept)


def test_many_items_are_compared_with_a_part_of_them_and_still_learned(rng):
    config = BehaviorConfig(**{**vars(SMALL), "max_full": 8, "min_steps": 150})
    streams = chains(200, rng, n_items=40)
    fitted = fit(streams, nothing(40), 0, None, config, lambda share: None)
    ranks = [rank_of_next(fitted.network, [n, n + 1, n + 2]) for n in range(36)]
    assert np.mean(ranks) < 3.0


# Content and state


def test_content_knows_the_words_of_an_item_and_leaves_rare_ones_out(store_of_words):
    index, terms = store_of_words
    rows = np.array([0, 1, 2, -1], np.int32)
    words = choose_words(terms, rows[:3], 100)
    content = content_of(terms, index, rows, words, center_of(index))
    assert len(words) == 2  # red and shoe; blue, hat and gloves occur once
    assert set(terms.weight) == {8.0}  # that they stand in titles does not count
    assert content.described.tolist() == [True, True, True, False]
    assert np.diff(content.ptr).tolist() == [2, 1, 1, 0]
    assert np.add.reduceat(content.weight**2, content.ptr[:3]) == pytest.approx(np.ones(3))


@pytest.fixture
def store_of_words():
    with pyrec.open(":memory:", text_model=None, embedding_model=None) as rec:
        titles = ("red shoe", "red hat", "blue shoe", "gloves")
        rec.add_items(pyrec.Item(f"i{n}", title) for n, title in enumerate(titles))
        index = rec.questions.current()
        yield index, read_terms(rec.catalog, index.n_items)


def state(made):
    rows, scales = quantize(made.raw_rows().detach().numpy())
    from pyrec.behavior.content import ContentTable

    table = ContentTable(
        np.array([3, 9], np.uint32),
        np.eye(2, made.config.width, dtype=np.float32),
        np.empty(0, np.float32),
        np.empty((0, made.config.width), np.float32),
        -1.0,
    )
    ids = tuple(f"i{n}" for n in range(made.n_items))
    bias = made.bias.detach().numpy()
    body = export(made)
    kept_back = np.array([3, 9])
    return BehaviorState(
        body, ids, ("like",), rows, scales, bias, table, "", made.config, 17, kept_back, 40
    )


def test_a_state_comes_back_as_it_was_packed():
    one = state(network())
    two = BehaviorState.unpack(one.pack())
    assert (two.body, two.item_ids, two.actions) == (one.body, one.item_ids, one.actions)
    assert (two.config, two.reached, two.steps) == (one.config, 17, 40)
    assert np.array_equal(two.rows, one.rows)
    assert np.array_equal(two.kept_back, [3, 9])
    assert two.table.rows == pytest.approx(one.table.rows, abs=0.01)


@pytest.mark.parametrize("where", [0, 40, -1])
def test_damaged_bytes_are_refused(where):
    packed = bytearray(state(network()).pack())
    packed[where] ^= 1
    with pytest.raises(ModelFileError, match="train it again"):
        BehaviorState.unpack(bytes(packed))
