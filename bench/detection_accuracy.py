"""How well does the judgement find labelled events, and what is each rule worth?

    python bench/detection_accuracy.py FOLDER [FOLDER …]

Each folder holds `histories.csv.gz` and a `score.py` that takes a CSV of flags and prints JSON with `f1`, `precision`,
`recall` and `false_alarms_per_1000_target_days`. Prints a Markdown table: the settings as they are, each rule switched
off, and thresholds a fifth lower and higher.
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
from backlinks_assets.detection.settings import DetectionSettings

VARIANTS: dict[str, dict[str, Any]] = {
    "as it is": {},
    "without the index moves": {"index_rule": False},
    "without the step rule": {"step_rule": False},
    "without the confirmed losses": {"confirmed_loss_rule": False},
    "without more caution for short histories": {"caution": 0},
    "without a sharp last change": {"last_step_swings": 0},
    "without quiet days after a flag": {"quiet_days": 0},
    "the others' spread on index days: 1 instead of 4": {"index_spread": 1},
    "usual swings a fifth lower": {"lost_swings": 4.4, "spam_swings": 3.6},
    "usual swings a fifth higher": {"lost_swings": 6.6, "spam_swings": 5.4},
    "share of live links a fifth lower": {"live_percent": 3.6},
    "share of live links a fifth higher": {"live_percent": 5.4},
    "share that makes an index move a fifth lower": {"index_share": 0.12},
    "share that makes an index move a fifth higher": {"index_share": 0.18},
}


def score(folder: Path, history: pd.DataFrame, settings: DetectionSettings) -> dict[str, Any]:
    """Return what the folder's own scorer says of the flags."""
    changes = detect(history, settings)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        changes.loc[changes["severity"].notna(), ["date", "target", "metric"]].to_csv(file.name, index=False)
        done = subprocess.run(
            [sys.executable, folder / "score.py", file.name], capture_output=True, text=True, check=True
        )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path)
    folders = parser.parse_args().folders
    histories = [pd.read_csv(folder / "histories.csv.gz") for folder in folders]
    print("| settings |" + "".join(f" {folder.name}: F1 | precision / recall | false a 1,000 |" for folder in folders))
    print("|---|" + "---|---|---|" * len(folders))
    for name, changed in VARIANTS.items():
        cells = [f"| {name} |"]
        for folder, history in zip(folders, histories, strict=True):
            found = score(folder, history, DetectionSettings(**changed))
            cells.append(
                f" {found['f1']:.3f} | {found['precision']:.3f} / {found['recall']:.3f} |"
                f" {found['false_alarms_per_1000_target_days']:.2f} |"
            )
        print("".join(cells), flush=True)


if __name__ == "__main__":
    main()
