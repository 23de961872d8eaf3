"""How much Beauty's test depends on direction, which is partly an artifact of that data.

    python bench/direction.py

Events of one day stand there in the order of their ASIN, so what comes after knows more than it
would in life, except of users whose last step goes to a lower ASIN. Each line weighs the two
signals that look forward only (`after`, `next`) by the factor at its head, with the weights of all
others as they were learned and without the network; strict, seen items removed. Learned as they are
they have the factor 1.
"""

from __future__ import annotations

import numpy as np
from common import machine, table
from histories import ask, data_set, open_history

FORWARD = ("after", "next")
FACTORS = (0.0, 0.5, 1.0, 1.5)


def main() -> None:
    print(machine())
    trained = open_history("beauty", refit=True)
    trained.train()
    theta = trained.theta
    trained.close()
    items = data_set("beauty").items
    steps = [
        (items[q.history[-1]].item_id, items[q.answers[0]].item_id) for q in data_set("beauty").test
    ]
    lower = np.array([answer < last for last, answer in steps])
    rec = open_history("beauty")
    rows = []
    for factor in FACTORS:
        weighed = {name: [factor * w for w in theta[name]] for name in FORWARD}
        rec.use_theta({**theta, **weighed})
        found = ask(rec, "beauty")
        parts = [
            found[m][of] for of in (slice(None), lower, ~lower) for m in ("Recall@10", "nDCG@10")
        ]
        rows.append([f"{factor:.1f}", *(f"{part.mean():.4f}" for part in parts)])
    rec.close()
    columns = [
        f"{who} {m}" for who in ("all:", "lower:", "higher:") for m in ("Recall@10", "nDCG@10")
    ]
    table("Weight of direction", ["factor", *columns], rows)


if __name__ == "__main__":
    main()
