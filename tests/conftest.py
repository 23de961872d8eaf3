"""Fixtures that many tests share: small enough to read, and nothing leaves the test's folder."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import walks

from pyrec.catalog import Catalog
from pyrec.store import Store
from pyrec.train import TrainReport
from pyrec.types import Item

# Two languages, shared brands, lists, gaps and equal titles' words: what real catalogs have.
TOY_ITEMS = (
    Item("s1", "Trail Running Shoes", "Grip on mud and rock.", 89.9, 120.0,
         {"category": "shoes", "brand": "Tarn", "color": ("red", "black"), "year": 2023.0}),
    Item("s2", "Road Running Shoes", "Light and soft.", 129.0, 300.0,
         {"category": "shoes", "brand": "Kestrow", "color": ("white",), "year": 2024.0}),
    Item("s3", "运动鞋 男款轻便透气", "适合慢跑。", 299.0, 250.0,
         {"category": "运动鞋", "brand": "疾岚", "color": ("黑色",)}),
    Item("s4", "女士跑步鞋 减震", "", 359.0, 90.0, {"category": "运动鞋", "brand": "疾岚"}),
    Item("b1", "Canvas Backpack 20 l", "For a day out.", 45.5, 80.0,
         {"category": "bags", "brand": "Tarn", "year": 2022.0}),
    Item("b2", "商务双肩包 防水", "15.6寸电脑。", 199.0, 60.0,
         {"category": "背包", "brand": "羚跑"}),
    Item("k1", "Cast Iron Pan 26 cm", "Seasoned, for any stove.", 39.0, 210.0,
         {"category": "kitchen", "brand": "Hearth"}),
    Item("k2", "不锈钢炒锅 32厘米", "", 168.0, 140.0, {"category": "厨具", "brand": "禾谷"}),
    Item("k3", "Café Crème Cups, Set of 6", "Porcelain.", 24.0, None,
         {"category": "kitchen", "brand": "Hearth & Söhne"}),
    Item("t1", "Wireless Mouse", "Silent clicks.", 19.99, 500.0,
         {"category": "electronics", "brand": "Nodd", "year": 2024.0}),
    Item("t2", "无线鼠标 静音", "", 49.0, 400.0, {"category": "电子产品", "brand": "诺德"}),
    Item("t3", "Mechanical Keyboard", "", None, 10.0, {"category": "electronics"}),
)  # fmt: skip


@pytest.fixture(autouse=True, scope="session")
def ctrl_c_is_heard() -> None:
    """Hear Ctrl-C again: a shell's background job ignores it, and so would all that tests start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new database file."""
    with Store.open(tmp_path / "shop.db") as opened:
        yield opened


@pytest.fixture
def toy_catalog(store: Store) -> Catalog:
    """Twelve products with titles in English and Chinese."""
    catalog = Catalog(store)
    catalog.add(TOY_ITEMS)
    return catalog


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness that is the same in each run."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainReport]:
    """A store of `walks.py` with a behavior model, to be copied, and what its training said."""
    path = tmp_path_factory.mktemp("trained") / "shop.db"
    with walks.opened(path) as rec:
        rec.add_items(walks.items())
        rec.add_events(walks.walks([f"u{n}" for n in range(200)], np.random.default_rng(3)))
        report = rec.train(behavior=True, config=walks.CONFIG)
    return path, report


@pytest.fixture
def trained_path(trained: tuple[Path, TrainReport], tmp_path: Path) -> Path:
    """A copy of it."""
    return Path(shutil.copy(trained[0], tmp_path / "shop.db"))
