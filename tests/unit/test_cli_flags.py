"""`backlinks flags`: the order in which a day's flags are shown, and what they are called."""

from report_world import DAY, FAULT, a_day, a_flag, a_turn

from backlinks_assets.cli.flags import _shown, read_flags
from backlinks_assets.settings import Settings
from backlinks_assets.tables import duckdb_sync


def test_the_vendors_fault_comes_first_then_targets_that_went_down_then_the_most_unusual(settings: Settings) -> None:
    loud = a_flag("loud.example", severity="critical", score=90.0)
    a_day(
        settings.root, [a_flag("mild.example"), loud, a_turn("gone.example"), a_turn("back.example", back=True), FAULT]
    )
    duckdb_sync.sync(settings.root)
    day, flags = read_flags(settings, None)
    assert day == DAY
    assert [flag["target"] for flag in flags] == ["*", "gone.example", "loud.example", "back.example", "mild.example"]
    assert [_shown(flag)[3] for flag in flags[:3]] == ["vendor fault", "target down", "lost backlinks"]
