"""How long does the judgement take, and how much memory? A day, a backtest, and 10,000 targets over a year.

    python bench/detection_speed.py [--full]

Prints a JSON line a question. Times are this machine's; peak memory is the process's own.
"""

import argparse
import json
import multiprocessing
import resource
import time

import numpy as np
import pandas as pd

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.settings import DetectionSettings


def history(targets: int, days: int) -> pd.DataFrame:
    """Return random walks of every size: (targets × days) rows with the columns that the tables give detection."""
    random = np.random.default_rng(1)
    size = np.exp(random.uniform(3, 14, targets))[:, None]
    live = size * np.exp(np.cumsum(random.normal(0, 0.004, (targets, days)), axis=1))
    lost = size * np.exp(np.cumsum(np.abs(random.normal(0, 0.004, (targets, days))), axis=1))
    spam = np.clip(20 + np.cumsum(random.normal(0, 0.3, (targets, days)), axis=1), 0, 100)
    dates = pd.date_range("2025-01-01", periods=days)
    return pd.DataFrame(
        {
            "date": np.tile(dates, targets),
            "target": pd.Categorical.from_codes(
                np.repeat(np.arange(targets), days), [f"site{number:05d}.example" for number in range(targets)]
            ),
            "spam_score": spam.ravel().round(),
            "lost_backlinks": lost.ravel().round(),
            "live_backlinks": live.ravel().round(),
        }
    )


def ask(name: str, targets: int, days: int, *, last_day_only: bool) -> None:
    """Judge one made history in this process and print what it took."""
    made = history(targets, days)
    since = made["date"].max().date() if last_day_only else None
    started = time.perf_counter()
    rows = len(detect(made, DetectionSettings(), since=since))
    answer = {
        "question": name,
        "targets": targets,
        "days": days,
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "rows": rows,
    }
    print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--full", action="store_true", help="10,000 targets × 365 days too")
    questions = [("one day", 2000, 90, True), ("backtest", 1010, 75, False)]
    if parser.parse_args().full:
        questions.append(("a year of 10,000 targets", 10_000, 365, False))
    context = multiprocessing.get_context("spawn")
    for name, targets, days, last in questions:  # a process each, so that peaks are their own
        process = context.Process(target=ask, args=(name, targets, days), kwargs={"last_day_only": last})
        process.start()
        process.join()


if __name__ == "__main__":
    main()
