"""How well does detection find labelled events, and what is each rule worth?

    python bench/detection_accuracy.py FOLDER [FOLDER …]

Each folder holds a `score.py`. Beside one `histories.csv.gz` it takes a CSV of flags and prints JSON with `f1`, `precision`,
`recall` and `false_alarms_per_1000_target_days`; without, it writes a CSV for each of its sources into a folder (`--export`)
and scores the flags of those (`--score`). Prints a Markdown table: the settings as they are, each rule switched off, and
thresholds a fifth lower and higher.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.metrics import SERIES
from backlinks_assets.detection.settings import DetectionSettings

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without the index moves": {"index_rule": False},
    "without the step rule": {"step_rule": False},
    "without the confirmed losses": {"confirmed_loss_rule": False},
    "without the rule of the half": {"halved_rule": False},
    "without more caution for short histories": {"caution": 0},
    "without a sharp last change": {"last_step_swings": 0},
    "without quiet days after a flag": {"quiet_days": 0},
    "the others' spread on index days: 1 instead of 4": {"index_spread": 1},
    "usual swings a fifth lower": {"lost_swings": 4.4, "spam_swings": 3.6},
    "usual swings a fifth higher": {"lost_swings": 6.6, "spam_swings": 5.4},
    "share of live links a fifth lower": {"live_percent": 3.6},
    "share of live links a fifth higher": {"live_percent": 5.4},
    "share that makes an index move a fifth lower": {"index_share": 0.2},
    "share that makes an index move a fifth higher": {"index_share": 0.3},
}


class Bench:
    """One labelled population: its history, and what its scorer says of flags."""

    def __init__(self, name: str, history: pd.DataFrame, scorer: Path, source: str | None) -> None:
        self.name, self.history, self.scorer, self.source = name, history, scorer, source

    def score(self, settings: DetectionSettings) -> tuple[float, float, float, float]:
        """Return F1, precision, recall and false alarms a 1,000 target-days."""
        changes = detect(self.history, settings)
        is_labelled = changes["metric"].isin(SERIES)  # no label says which targets are down
        flags = changes.loc[changes["severity"].notna() & is_labelled, ["date", "target", "metric"]]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{self.source or 'all'}.flags.csv"
            flags.to_csv(path, index=False)
            arguments = ["--score", folder] if self.source else [str(path)]
            done = subprocess.run([sys.executable, self.scorer, *arguments], capture_output=True, text=True, check=True)
        found: dict[str, Any] = json.loads(done.stdout)
        if self.source:
            found = found["rule"][self.source]
            found["false_alarms_per_1000_target_days"] = found["false_per_1000"]
        return tuple(found[key] for key in ("f1", "precision", "recall", "false_alarms_per_1000_target_days"))


def benches(folder: Path) -> list[Bench]:
    scorer = folder / "score.py"
    if (folder / "histories.csv.gz").exists():
        return [Bench(folder.name, pd.read_csv(folder / "histories.csv.gz"), scorer, None)]
    with tempfile.TemporaryDirectory() as made:
        subprocess.run([sys.executable, scorer, "--export", made], check=True)
        return [Bench(path.stem, pd.read_csv(path), scorer, path.stem) for path in sorted(Path(made).glob("*.csv"))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    found = [bench for folder in parser.parse_args().folders for bench in benches(folder)]
    print("| settings |" + "".join(f" {bench.name}: F1 | precision / recall | false a 1,000 |" for bench in found))
    print("|---|" + "---|---|---|" * len(found))
    for name, changed in VARIANTS.items():
        cells = [f"| {name} |"]
        for bench in found:
            f1, precision, recall, false = bench.score(DetectionSettings(**changed))
            cells.append(f" {f1:.3f} | {precision:.3f} / {recall:.3f} | {false:.2f} |")
        print("".join(cells), flush=True)


if __name__ == "__main__":
    main()
