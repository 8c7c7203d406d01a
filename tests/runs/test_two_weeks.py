"""Two weeks of a team of three, as a story: what each place was sent, what stood on the pages and in the incidents' table.

Who they are and what each gets is `agency.py`. Each day is collected at 6:00 UTC over HTTP and looked at at 6:40; what people
say during the day counts in that day's table. `*` is what happens in the world, `$` is what is typed; all else came of it. What
a page or the table says is written where it is not as on the day before.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path

import pytest
from agency import an_agency
from notify_places import Webhook

pytestmark = [pytest.mark.slow, pytest.mark.ci]

STORY = """
Tue 3 Nov
  06:40 to lead: Backlinks, 3 November 2026: nothing moved
      12 watched, nothing moved.
      Report: https://reports.example/flags-2026-11-03.html
      3 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 3 November 2026: nothing moved
      3 watched, nothing moved.
      3 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  all targets: all quiet
  Acme's page: 3 targets watched; nothing moved sharply.

Wed 4 Nov
  * bolt-tools.example lost 1500
  06:40 to lead, oncall: Backlinks, 4 November 2026: 1 flag, 1 critical
      Critical flags
      Bolt
      - bolt-tools.example (Lea; incident vvcf2zok): Lost backlinks rose by 1,502 (+499%) to 1,803 against 301 1 day before,
        229 times this target's usual swing; live backlinks went with them from 2,002 to 503.
      Report: https://reports.example/flags-2026-11-04.html
      1 incident open (1 critical).
      4 November 2026: 1 of 12 targets flagged, 1 critical; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 4 November 2026: nothing moved
      3 watched, nothing moved.
      4 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  the day's page: bolt-tools.example, Lost backlinks, vvcf2zok
  all targets: bolt-tools.example: Critical, 4 Nov
  incidents:
      vvcf2zok bolt-tools.example, lost backlinks up: critical, open

Thu 5 Nov
  * acme-blog.example lost 160
  * cove-one.example spam 9
  06:40 to lead: Backlinks, 5 November 2026: 2 flags
      Warnings (2)
      Acme
      - acme-blog.example (Ann; incident f2samilk): Lost backlinks rose by 158 (+52%) to 460 against 302, the median of the
        last 7 readings: 29 times this target's usual swing; live backlinks went from 2,002 to 1,840.
      Cove
      - cove-one.example (incident sqoyr3qy): The spam score rose by 10 points to 20 against 10, the median of the last 7
        readings: 7 times this target's usual swing.
      Report: https://reports.example/flags-2026-11-05.html
      3 incidents open (1 critical).
      5 November 2026: 2 of 12 targets flagged; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 5 November 2026: 1 flag
      Warnings
      Acme
      - acme-blog.example (incident f2samilk): Lost backlinks rose by 158 (+52%) to 460 against 302, the median of the last
        7 readings: 29 times this target's usual swing; live backlinks went from 2,002 to 1,840.
      1 incident open.
      5 November 2026: 1 of 3 targets flagged; 3 of 3 collected.
  the day's page: acme-blog.example, Lost backlinks, f2samilk; cove-one.example, Spam score, sqoyr3qy
  all targets: bolt-tools.example: Critical, 4 Nov; acme-blog.example: Warning, 5 Nov; cove-one.example: Warning, 5 Nov
  Acme's page: 3 targets watched; 1 of them moved sharply.
  incidents:
      f2samilk acme-blog.example, lost backlinks up: warning, open
      sqoyr3qy cove-one.example, spam score up: warning, open

Fri 6 Nov
  * bolt-news.example spam 9
  06:40 to lead: Backlinks, 6 November 2026: critical and not acknowledged; 1 flag
      Warnings
      Bolt
      - bolt-news.example (Lea; incident aadnlml5): The spam score rose by 9 points to 19 against 10, the median of the last
        7 readings: 7 times this target's usual swing.
      Critical, and nobody looks into it yet
      Bolt
      - bolt-tools.example (Lea; incident vvcf2zok): Lost backlinks: 1,803 against 301, critical since 4 Nov. To say that
        you do: backlinks incidents ack vvcf2zok
      Report: https://reports.example/flags-2026-11-06.html
      4 incidents open (1 critical).
      6 November 2026: 1 of 12 targets flagged; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 6 November 2026: nothing moved
      3 watched, nothing moved.
      1 incident open.
      6 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  06:40 to oncall: Backlinks, 6 November 2026: critical and not acknowledged
      Critical, and nobody looks into it yet
      Bolt
      - bolt-tools.example (Lea; incident vvcf2zok): Lost backlinks: 1,803 against 301, critical since 4 Nov. To say that
        you do: backlinks incidents ack vvcf2zok
      Report: https://reports.example/flags-2026-11-06.html
      4 incidents open (1 critical).
      6 November 2026: 1 of 12 targets flagged; 12 of 12 collected; $0.58 spent on 24 calls.
  09:05 $ backlinks incidents snooze vvcf --until 2026-11-08 --note "the host answers by Sunday" --by Eli
      vvcf2zok is snoozed until 2026-11-08: lost backlinks of bolt-tools.example, critical since 2026-11-04.
  09:30 $ backlinks incidents snooze aadnlml5 --until 2026-11-20 --note "a guest post, gone by then" --by Lea
      aadnlml5 is snoozed until 2026-11-20: spam score of bolt-news.example, warning since 2026-11-06.
  10:00 $ backlinks incidents resolve f2samilk --reason expected --note "their own clean-up" --by Ann
      f2samilk is resolved as expected: lost backlinks of acme-blog.example, warning since 2026-11-05.
  the day's page: bolt-news.example, Spam score, aadnlml5
  all targets: bolt-tools.example: Critical, 4 Nov; cove-one.example: Warning, 5 Nov; acme-blog.example: Warning, 5 Nov;
    bolt-news.example: Warning, 6 Nov
  incidents:
      f2samilk acme-blog.example, lost backlinks up: warning, resolved (expected); Ann: their own clean-up
      aadnlml5 bolt-news.example, spam score up: warning, snoozed until 2026-11-20; Lea: a guest post, gone by then
      vvcf2zok bolt-tools.example, lost backlinks up: critical, snoozed until 2026-11-08; Eli: the host answers by Sunday

Sat 7 Nov
  * cove-one.example spam 0
  06:40 to lead: Backlinks, 7 November 2026: nothing moved
      12 watched, nothing moved.
      Report: https://reports.example/flags-2026-11-07.html
      1 incident open, 2 snoozed.
      7 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 7 November 2026: nothing moved
      3 watched, nothing moved.
      7 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.

Sun 8 Nov
  * bolt-news.example spam 27
  06:40 to lead, oncall: Backlinks, 8 November 2026: a snooze is over; 1 flag, 1 critical
      Critical flags
      Bolt
      - bolt-news.example (Lea; incident aadnlml5): The spam score rose by 27 points to 38 against 11, the median of the
        last 7 readings: 20 times this target's usual swing.
      No longer snoozed
      Bolt
      - bolt-tools.example (Lea; incident vvcf2zok): Lost backlinks: it is open again; its first flag was on 4 Nov. Eli: the
        host answers by Sunday.
      Report: https://reports.example/flags-2026-11-08.html
      3 incidents open (2 critical).
      8 November 2026: 1 of 12 targets flagged, 1 critical; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 8 November 2026: nothing moved
      3 watched, nothing moved.
      8 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  the day's page: bolt-news.example, Spam score, aadnlml5
  all targets: bolt-news.example: Critical, 8 Nov; bolt-tools.example: Critical, 4 Nov; cove-one.example: Warning, 5 Nov;
    acme-blog.example: Warning, 5 Nov
  incidents:
      aadnlml5 bolt-news.example, spam score up: critical, open; Lea: a guest post, gone by then
      vvcf2zok bolt-tools.example, lost backlinks up: critical, open; Eli: the host answers by Sunday

Mon 9 Nov
  06:40 to lead: Backlinks, 9 November 2026: usual again
      Usual again
      Cove
      - cove-one.example (incident sqoyr3qy): Spam score: usual again; its first flag was on 5 Nov.
      Report: https://reports.example/flags-2026-11-09.html
      2 incidents open (2 critical).
      9 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 9 November 2026: nothing moved
      3 watched, nothing moved.
      9 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  06:40 to monday: Backlinks, week to 9 November 2026: 5 flags, 2 critical
      Critical flags (2)
      Bolt
      - bolt-tools.example (4 Nov; Lea; incident vvcf2zok): Lost backlinks rose by 1,502 (+499%) to 1,803 against 301 1 day
        before, 229 times this target's usual swing; live backlinks went with them from 2,002 to 503.
      - bolt-news.example (8 Nov; Lea; incident aadnlml5): The spam score rose by 27 points to 38 against 11, the median of
        the last 7 readings: 20 times this target's usual swing.
      Warnings (3)
      Acme
      - acme-blog.example (5 Nov; Ann; incident f2samilk, resolved: expected): Lost backlinks rose by 158 (+52%) to 460
        against 302, the median of the last 7 readings: 29 times this target's usual swing; live backlinks went from 2,002
        to 1,840.
      Cove
      - cove-one.example (5 Nov; incident sqoyr3qy, resolved: back): The spam score rose by 10 points to 20 against 10, the
        median of the last 7 readings: 7 times this target's usual swing.
      Bolt
      - bolt-news.example (6 Nov; Lea; incident aadnlml5): The spam score rose by 9 points to 19 against 10, the median of
        the last 7 readings: 7 times this target's usual swing.
      2 incidents open (2 critical).
      3 Nov to 9 November 2026; 7 of 7 days evaluated; 12 targets watched; $4.04 spent.
  09:00 $ backlinks incidents ack aadnlml5 --note "spam network: a disavow file is on its way" --by Lea
      aadnlml5 is acknowledged: spam score of bolt-news.example, critical since 2026-11-06.
  09:10 $ backlinks incidents ack vvcf2zok --note "the host moves the blog back" --by Eli
      vvcf2zok is acknowledged: lost backlinks of bolt-tools.example, critical since 2026-11-04.
  all targets: bolt-news.example: Critical, 8 Nov; bolt-tools.example: Critical, 4 Nov; acme-blog.example: Warning, 5 Nov;
    cove-one.example: Warning, 5 Nov
  incidents:
      aadnlml5 bolt-news.example, spam score up: critical, acknowledged; Lea: spam network: a disavow file is on its way
      vvcf2zok bolt-tools.example, lost backlinks up: critical, acknowledged; Eli: the host moves the blog back
      sqoyr3qy cove-one.example, spam score up: warning, resolved (back)

Tue 10 Nov
  06:40 to lead, oncall: Backlinks, 10 November 2026: a new level is usual
      Closed, since the new level is usual by now
      Bolt
      - bolt-tools.example (Lea; incident vvcf2zok): Lost backlinks: it stays at its new level, which is usual by now; its
        first flag was on 4 Nov. Eli: the host moves the blog back. If it is not over for you: backlinks incidents reopen
        vvcf2zok
      Report: https://reports.example/flags-2026-11-10.html
      0 incidents open, 1 acknowledged.
      10 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 10 November 2026: nothing moved
      3 watched, nothing moved.
      10 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  11:00 $ backlinks incidents reopen f2samilk --note "the links are gone for good" --by Lea
      f2samilk is open again: lost backlinks of acme-blog.example, warning since 2026-11-05.
  incidents:
      f2samilk acme-blog.example, lost backlinks up: warning, open; Lea: the links are gone for good
      vvcf2zok bolt-tools.example, lost backlinks up: critical, resolved (new_level); Eli: the host moves the blog back

Wed 11 Nov
  06:40 to lead: Backlinks, 11 November 2026: nothing moved
      12 watched, nothing moved.
      Report: https://reports.example/flags-2026-11-11.html
      1 incident open, 1 acknowledged.
      11 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 11 November 2026: nothing moved
      3 watched, nothing moved.
      1 incident open.
      11 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  09:00 $ backlinks incidents resolve f2samilk --reason false --note "they changed nothing" --by Ann
      f2samilk is resolved as false: lost backlinks of acme-blog.example, warning since 2026-11-05.
  09:05 $ backlinks incidents resolve f2samilk --reason real --note "I looked: the pages are gone" --by Lea
      f2samilk is resolved as real: lost backlinks of acme-blog.example, warning since 2026-11-05.
  09:10 $ backlinks incidents ack f2samilk --by Ann
      backlinks: f2samilk is resolved (real, 2026-11-11). Open it again first: `backlinks incidents reopen f2samilk`.
  all targets: bolt-news.example: Critical, 8 Nov; acme-blog.example: Warning, 5 Nov; cove-one.example: Warning, 5 Nov
  incidents:
      f2samilk acme-blog.example, lost backlinks up: warning, resolved (real); Lea: I looked: the pages are gone

Thu 12 Nov
  06:40 to lead: Backlinks, 12 November 2026: nothing moved
      12 watched, nothing moved.
      Report: https://reports.example/flags-2026-11-12.html
      0 incidents open, 1 acknowledged.
      12 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 12 November 2026: nothing moved
      3 watched, nothing moved.
      12 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  all targets: bolt-news.example: Critical, 8 Nov

Fri 13 Nov
  * acme-shop.example spam 20
  06:40 to lead, oncall: Backlinks, 13 November 2026: 1 flag, 1 critical
      Critical flags
      Acme
      - acme-shop.example (Ann; incident y3zmjuho): The spam score rose by 20 points to 30 against 10, the median of the
        last 7 readings: 14 times this target's usual swing.
      Report: https://reports.example/flags-2026-11-13.html
      1 incident open (1 critical), 1 acknowledged.
      13 November 2026: 1 of 12 targets flagged, 1 critical; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 13 November 2026: 1 flag, 1 critical
      Critical flags
      Acme
      - acme-shop.example (incident y3zmjuho): The spam score rose by 20 points to 30 against 10, the median of the last 7
        readings: 14 times this target's usual swing.
      1 incident open (1 critical).
      13 November 2026: 1 of 3 targets flagged, 1 critical; 3 of 3 collected.
  the day's page: acme-shop.example, Spam score, y3zmjuho
  all targets: acme-shop.example: Critical, 13 Nov; bolt-news.example: Critical, 8 Nov
  Acme's page: 3 targets watched; 2 of them moved sharply.
  incidents:
      y3zmjuho acme-shop.example, spam score up: critical, open

Sat 14 Nov
  * the machine is off

Sun 15 Nov
  06:40 to lead, oncall: Backlinks, 14 November 2026: targets without answers
      Targets without answers
      - Nothing was collected on 2026-11-14. The day is over: the API answers for the present only. Check the schedule, or
        what starts the run.
  06:40 to lead, oncall: Backlinks, 15 November 2026: critical and not acknowledged; a new level is usual
      Critical, and nobody looks into it yet
      Acme
      - acme-shop.example (Ann; incident y3zmjuho): Spam score: 30 against 10, critical since 13 Nov. To say that you do:
        backlinks incidents ack y3zmjuho
      Closed, since the new level is usual by now
      Bolt
      - bolt-news.example (Lea; incident aadnlml5): Spam score: it stays at its new level, which is usual by now; its first
        flag was on 6 Nov. Lea: spam network: a disavow file is on its way. If it is not over for you: backlinks incidents
        reopen aadnlml5
      Report: https://reports.example/flags-2026-11-15.html
      1 incident open (1 critical).
      15 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 15 November 2026: critical and not acknowledged
      Critical, and nobody looks into it yet
      Acme
      - acme-shop.example (incident y3zmjuho): Spam score: 30 against 10, critical since 13 Nov.
      1 incident open (1 critical).
      15 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  all targets: acme-shop.example: Critical, 13 Nov
  incidents:
      aadnlml5 bolt-news.example, spam score up: critical, resolved (new_level); Lea: spam network: a disavow file is on its
        way

Mon 16 Nov
  06:40 to lead: Backlinks, 16 November 2026: nothing moved
      12 watched, nothing moved.
      Report: https://reports.example/flags-2026-11-16.html
      1 incident open (1 critical).
      16 November 2026: nothing moved sharply among 12 targets; 12 of 12 collected; $0.58 spent on 24 calls.
  06:40 to acme: Backlinks, 16 November 2026: nothing moved
      3 watched, nothing moved.
      1 incident open (1 critical).
      16 November 2026: nothing moved sharply among 3 targets; 3 of 3 collected.
  06:40 to monday: Backlinks, week to 16 November 2026: 1 flag, 1 critical
      Critical flags
      Acme
      - acme-shop.example (13 Nov; Ann; incident y3zmjuho): The spam score rose by 20 points to 30 against 10, the median of
        the last 7 readings: 14 times this target's usual swing.
      1 incident open (1 critical).
      10 Nov to 16 November 2026; 6 of 7 days evaluated; 12 targets watched; $3.46 spent.
  09:00 $ backlinks incidents ack y3zmjuho --note "their old forum was hacked" --by Ann
      y3zmjuho is acknowledged: spam score of acme-shop.example, critical since 2026-11-13.
  16:00 $ backlinks incidents export verdicts.csv
      9 verdicts written to verdicts.csv.
  16:05 $ BACKLINKS_DATA_DIR=elsewhere backlinks incidents import verdicts.csv
      9 verdicts read, 9 of them new. Those about earlier days count when these are evaluated again.
  16:06 $ BACKLINKS_DATA_DIR=elsewhere backlinks incidents import verdicts.csv
      9 verdicts read, 0 of them new. Those about earlier days count when these are evaluated again.
  incidents:
      y3zmjuho acme-shop.example, spam score up: critical, acknowledged; Ann: their old forum was hacked
"""


@pytest.mark.timeout(600)
def test_two_weeks_of_a_team_of_three(
    clean_environment: Path,
    hook: Webhook,
    write_targets: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with an_agency(clean_environment, hook, write_targets, monkeypatch) as team:
        team.lived(dt.date(2026, 11, 3))
        assert team.play(STORY) == STORY.lstrip("\n")
        lost = team.usual("acme-blog.example", "lost")  # its span is out of the baseline, and back on Tuesday
        assert [lost["Mon 9"], lost["Tue 10"]] == [(463, 303), (460, 461)]
        ours = team.incidents_of(team.settings.root)
        assert team.elsewhere(tmp_path / "elsewhere", monkeypatch) == ours
