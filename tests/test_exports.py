"""What `import pyrec` offers: few names, all of them said out loud."""

from __future__ import annotations

from pathlib import Path

import pyrec


def test_all_names_what_is_public_and_nothing_else():
    things = {name: getattr(pyrec, name) for name in dir(pyrec) if not name.startswith("_")}
    ours = {
        name for name, it in things.items() if getattr(it, "__module__", "").startswith("pyrec")
    }
    assert ours == set(pyrec.__all__)


def test_the_surface_stays_small_enough_to_remember():
    assert 5 <= len(pyrec.__all__) <= 12
    assert list(pyrec.__all__) == sorted(pyrec.__all__)


def test_the_package_says_that_it_is_typed():
    assert (Path(pyrec.__file__).parent / "py.typed").is_file()
