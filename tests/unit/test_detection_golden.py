"""The judgement, replayed over fixed histories and compared by value with what was found when it was last looked at.

`golden/detection-flags.csv` has every flag with its sentence, to be read; `golden/detection-rows.parquet` the numbers of
every row. A change of the judgement is a change of these files, in a commit that says why:
`PYTHONPATH=tests/support:tests/unit python -m test_detection_golden` from the project's folder writes them anew.
"""

from pathlib import Path

import pandas as pd
import pytest
from detection_sites import World
from detection_worlds import worlds

from backlinks_assets.detection.detect import detect
from backlinks_assets.detection.matrices import as_matrices, stacked

GOLDEN = Path(__file__).parents[1] / "golden"
FLAGS, ROWS = GOLDEN / "detection-flags.csv", GOLDEN / "detection-rows.parquet"
NUMBERS = ["value", "previous", "baseline", "change", "score"]
KEY = ["world", "date", "target", "metric"]
WORLDS = worlds()


def found_in(world: World) -> pd.DataFrame:
    found = detect(world.history, world.settings, world.thresholds)
    found.insert(0, "world", world.name)
    dates = {name: found[name].astype("string") for name in ("date", "previous_date")}
    return found.assign(**dates)


def flags_of(rows: pd.DataFrame) -> pd.DataFrame:
    flags = rows[rows["severity"].notna()].reset_index(drop=True)
    return flags.assign(**{name: flags[name].round(6) for name in NUMBERS})


def golden_flags() -> pd.DataFrame:
    text = dict.fromkeys(
        ["world", "date", "target", "metric", "previous_date", "direction", "kind", "severity", "reason"], "str"
    )
    return pd.read_csv(FLAGS, dtype=text)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_flag_and_its_sentence_is_the_golden_one(world: World) -> None:
    kept = golden_flags()
    kept = kept[kept["world"] == world.name].reset_index(drop=True)
    found = flags_of(found_in(world))[kept.columns]
    assert found[[*KEY, "kind", "severity", "direction", "reason"]].to_dict("records") == kept[
        [*KEY, "kind", "severity", "direction", "reason"]
    ].to_dict("records")
    pd.testing.assert_frame_equal(found, kept, check_dtype=False, rtol=1e-9, atol=1.1e-6)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_every_number_of_every_row_is_the_golden_one(world: World) -> None:
    kept = pd.read_parquet(ROWS)
    kept = kept[kept["world"] == world.name].reset_index(drop=True)
    found = found_in(world)[kept.columns]
    pd.testing.assert_frame_equal(found, kept, check_dtype=False, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_a_step_lies_outside_its_usual_range_and_what_is_not_unusual_inside(world: World) -> None:
    found = found_in(world)
    found = found[found["target"] != "*"]
    inside = found["value"].between(found["usual_low"], found["usual_high"])
    assert found["usual_low"].notna().equals(found["score"].notna())
    assert (found["usual_low"].dropna() >= 0).all()
    assert (found.loc[found["metric"] == "spam_score", "usual_high"].dropna() <= 100).all()
    assert not inside[found["kind"] == "step"].any()
    repeated_loss = found["usual_low"] == found["baseline"]
    assert inside[found["kind"].isna() & (found["score"].abs() < 1) & ~repeated_loss].all()
    losses = found[found["kind"] == "confirmed_loss"]
    assert losses["usual_low"].equals(losses["baseline"])
    assert (losses["value"] >= losses["usual_high"] * (1 - 1e-12)).all()


@pytest.mark.medium
@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.name)
def test_read_in_parts_the_same_is_found(world: World) -> None:
    names = sorted(set(world.history["target"]))
    parts = [names[start : start + 5] for start in range(0, len(names), 5)]
    history = world.history
    days = sorted(set(history["date"]))
    read = [as_matrices(history[history["target"].isin(targets)], days) for targets in parts]
    together = detect(stacked(read), world.settings, world.thresholds)
    pd.testing.assert_frame_equal(together, detect(history, world.settings, world.thresholds), check_exact=True)


def test_the_histories_have_every_kind_of_flag() -> None:
    seen = golden_flags()
    seen = seen.astype(object).where(seen.notna(), None)
    kinds = set(zip(seen["metric"], seen["kind"], seen["severity"], seen["direction"], strict=True))
    spam, lost = "spam_score", "lost_backlinks"
    assert kinds >= {
        (spam, "step", "critical", "up"),
        (spam, "step", "warning", "up"),
        (spam, "step", "warning", "down"),
        (lost, "step", "critical", "up"),
        (lost, "step", "warning", "up"),
        (lost, "step", "warning", "down"),
        (lost, "confirmed_loss", "critical", "up"),
        (lost, "confirmed_loss", "warning", "up"),
        (lost, "index_move", "warning", "up"),
        (lost, "index_move", "warning", "down"),
        (spam, "index_move", "warning", "up"),
        (spam, "index_move", "warning", "down"),
        (lost, "vendor_fault", "critical", None),
        ("target_down", "down", "critical", "down"),
        ("target_down", "down", "warning", "up"),
    }


def write() -> None:
    rows = pd.concat([found_in(world) for world in WORLDS], ignore_index=True)
    GOLDEN.mkdir(exist_ok=True)
    flags_of(rows).to_csv(FLAGS, index=False, lineterminator="\n")
    rows[[*KEY, *NUMBERS, "previous_date", "direction", "kind", "severity"]].to_parquet(
        ROWS, compression="zstd", index=False
    )


if __name__ == "__main__":
    write()
