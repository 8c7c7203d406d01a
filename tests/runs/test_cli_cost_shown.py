"""`backlinks cost` as the command shows it: on a terminal of 80 columns, and with its exit statuses."""

import re

import pytest
from commands import command, on_a_terminal


@pytest.mark.medium
def test_the_table_fits_eighty_columns() -> None:
    status, said = on_a_terminal("cost", "--targets", "100000", columns=80)
    lines = [re.sub(r"\x1b\[\d*m", "", line).rstrip() for line in said.splitlines()]
    assert status == 0
    assert max(map(len, lines)) <= 80
    assert any("full: two summaries a target" in line and line.endswith("$144,216.00") for line in lines)
    assert "no credentials are set" in said
    assert "Simulated" not in said


def test_a_number_that_cannot_be_is_refused_with_usage() -> None:
    for number in ("0", "-3", "many", "1000001"):
        assert command("cost", "--targets", number).status == 2
    nothing = command("cost")
    assert (nothing.status, "targets add" in nothing.err or "targets.csv" in nothing.err) == (2, True)
