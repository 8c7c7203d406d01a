"""Quiet histories for the tests of detection, and changes to them."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import pandas as pd

FIRST = dt.date(2026, 9, 1)
DAYS = 50


def made(targets: int = 30, days: int = DAYS, seed: int = 3) -> pd.DataFrame:
    """Return quiet histories: small drift and noise in all columns, of targets of 100 to 100,000 links."""
    random = np.random.default_rng(seed)
    frames = []
    for number in range(targets):
        size = 10 ** random.uniform(2, 5)
        frame = pd.DataFrame(
            {
                "date": [FIRST + dt.timedelta(days=day) for day in range(days)],
                "target": f"site{number:03d}.example",
                "spam_score": np.round(20 + 0.4 * random.standard_normal(days)),
                "lost_backlinks": np.round(
                    size * np.exp(np.cumsum(0.001 + 0.002 * np.abs(random.standard_normal(days))))
                ),
                "live_backlinks": np.round(3 * size * np.exp(0.002 * random.standard_normal(days))),
                "referring_main_domains": np.round(size / 3),
            }
        )
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def change(history: pd.DataFrame, day: int, target: int, **columns: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    """Change one target's columns from a day on."""
    rows = (history["target"] == f"site{target:03d}.example") & (history["date"] >= FIRST + dt.timedelta(days=day))
    for name, function in columns.items():
        history.loc[rows, name] = function(history.loc[rows, name])
    return history
