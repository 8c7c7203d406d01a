"""Fixed histories with injected events, for the golden replay of the judgement (`test_detection_golden.py`).

Here belongs what happens in each history and why it is there.
"""

import datetime as dt
import random

import pandas as pd
from detection_sites import FIRST, LIVE, LOST, LOST_DATE, SPAM, Change, World, frame, plus, site, sites, times

from backlinks_assets.detection.settings import DetectionSettings


def steps() -> World:
    """Rises and falls of both metrics, small and large, of young and old histories, once and again."""
    s = sites(1, 26, 48)
    s[0].from_day(40, spam_score=plus(18))  # critical
    s[1].from_day(40, spam_score=plus(14))  # just below critical
    s[2].from_day(40, spam_score=plus(-12))  # a fall is told too, as a warning
    s[3].from_day(40, spam_score=plus(-19))
    s[4].from_day(40, spam_score=plus(5))
    s[5].from_day(40, spam_score=plus(4))
    s[6].from_day(40, lost_backlinks=times(2.6))  # nothing live gone: warning
    s[7].from_day(40, lost_backlinks=times(0.4))  # a stock that was pruned
    s[8].from_day(40, lost_backlinks=times(1.3))
    s[9].from_day(40, lost_backlinks=times(1.12))
    s[10].from_day(30, spam_score=plus(8)).from_day(33, spam_score=plus(3))  # the open flag is not repeated
    s[11].from_day(30, spam_score=plus(8)).from_day(33, spam_score=plus(14))  # more than twice as far is
    s[12].from_day(30, spam_score=plus(8)).from_day(37, spam_score=plus(9))  # a week later it is a new one
    s[13].from_day(30, until=31, spam_score=plus(30))  # a day's spike, and its way back
    s[14].from_day(3, spam_score=plus(25))  # the first judged reading: caution of a young history
    s[15].from_day(4, spam_score=plus(10))
    s[16].from_day(5, lost_backlinks=times(1.8))
    s[17].from_day(2, spam_score=plus(40))  # too early
    s[18].skip(35, 36, 37, 38, 39).from_day(40, spam_score=plus(9))  # after a gap
    s[19].skip(*range(30, 40)).from_day(40, lost_backlinks=times(1.6))
    s[20].from_day(20, lost_backlinks=times(1.0)).null(SPAM, 41, 42).from_day(43, spam_score=plus(11))
    s[21].from_day(25, lost_backlinks=times(1.05)).from_day(40, lost_backlinks=times(1.25))  # earlier steps widen
    for day in range(20, 48):
        s[22].from_day(day, lost_backlinks=times(1.03))  # a steady slide is drift
    s[23].from_day(28, lost_backlinks=times(1.2)).from_day(34, lost_backlinks=times(0.7))
    s[24].from_day(7, spam_score=plus(7))  # with seven earlier readings
    s[25].from_day(6, spam_score=plus(7))  # with six
    return World("steps", frame(s))


def losses() -> World:
    """Links that leave the live ones and join the lost ones: at once, over days, often, around each limit."""
    s = sites(2, 24, 80, swing=0.004)

    def gone(number: int, day: int, share: float, *, joined: float = 1.0) -> None:
        """Let a share of the live links go on a day, of which `joined` are counted as lost."""
        live = s[number].columns[LIVE][day - 1] or 0.0
        s[number].from_day(day, live_backlinks=plus(-share * live), lost_backlinks=plus(joined * share * live))

    # Each on a day of its own: many on one day would be the index.
    for number, share in enumerate([0.30, 0.21, 0.19, 0.08, 0.05, 0.042]):
        gone(number, 40 + 2 * number, share)
    gone(6, 52, 0.15, joined=0.5), gone(7, 54, 0.15, joined=0.0)
    for day in range(54, 61):
        gone(8, day, 0.012)  # a loss over a week
        gone(9, day, 0.007)
    for day in (63, 64, 65):
        gone(10, day, 0.025)
    for day in range(10, 80, 7):
        gone(11, day, 0.03)  # a batch a week is usual here
    gone(11, 72, 0.08)
    gone(12, 30, 0.10), gone(12, 32, 0.10), gone(12, 34, 0.28)  # an open flag, and one that is twice as large
    gone(13, 67, 0.10)
    s[13].skip(64, 65, 66)
    gone(14, 69, 0.10)
    s[14].null(LIVE, 68)
    gone(15, 4, 0.3)  # with four earlier readings
    gone(16, 71, 0.12)
    s[16].from_day(71, referring_main_domains=times(0.7))
    for day in range(8):
        s[17].columns[LIVE][day], s[17].columns[LOST][day] = 300.0 - 4 * day, 100.0 + 4 * day
    s[17].skip(7)  # nothing is known of what is usual over a week yet
    for day in range(8, 80):
        s[17].columns[LIVE][day], s[17].columns[LOST][day] = 268.0, 132.0
    gone(18, 36, 0.2)
    s[18].from_day(39, live_backlinks=times(1.2))  # a hub that came back, and went again
    gone(18, 75, 0.2)
    gone(19, 77, 0.25)
    s[19].from_day(77, spam_score=plus(12))
    for number, least in ((20, 19.0), (21, 20.0), (22, 21.0)):  # around the smallest number of links
        for values, sign in ((s[number].columns[LIVE], -1), (s[number].columns[LOST], 1)):
            values[:] = [200.0 + sign * least * (day >= 26 + 2 * number - 40) for day in range(80)]
    for day in range(20, 80, 3):
        gone(23, day, 0.02)
    return World("losses", frame(s))


def refresh(name: str, *, live: bool, requests: bool = False) -> World:
    """A refresh of the vendor's index over two days, of the lost links and the score, with or without the live ones."""
    s = sites(3 if live else 4, 30, 56, swing=0.004)
    for number, one in enumerate(s):
        factor = 1.10 + 0.002 * number
        one.from_day(40 if number % 3 else 41, lost_backlinks=times(factor), spam_score=plus(2 + number % 3))
        if live:
            one.from_day(40 if number % 3 else 41, live_backlinks=times(0.93))
    s[0].from_day(41, lost_backlinks=times(2.4))  # its own change on the day of the refresh
    s[1].from_day(40, spam_score=plus(20))
    s[2].skip(40)  # reads the refresh a day later
    s[4].skip(40, 41, 42)
    s[5].skip(40, 41).from_day(42, lost_backlinks=times(1.9), spam_score=plus(12))  # and a change of its own
    s[7].skip(40).from_day(41, lost_backlinks=times(0.6))
    s[8].skip(*range(41)).from_day(42, lost_backlinks=times(1.2), spam_score=plus(6))  # first read the day after
    s[10].skip(*range(40)).from_day(41, lost_backlinks=times(1.2), spam_score=plus(6))  # first read on the day
    s[11].from_day(42, live_backlinks=times(0.75), lost_backlinks=times(1.6))  # a loss while the refresh still counts
    s[13].from_day(44, live_backlinks=times(0.7), lost_backlinks=times(1.9))
    s[14].from_day(46, spam_score=plus(16))
    s[16].from_day(50, lost_backlinks=times(1.7))
    s[19].from_day(42, live_backlinks=plus(-960), lost_backlinks=plus(960))  # what the refresh's days don't confirm
    if requests:
        s[17].request(41, "second").from_day(46, spam_score=plus(25))
    return World(name, frame(s, requests=requests))


def votes() -> World:
    """Days on which some targets move together: just too few, just enough, down after up, while it is rolled out."""
    s = sites(5, 80, 42, swing=0.002)
    for number in range(6, 80, 8):
        s[number].from_day(20, lost_backlinks=times(1.2))  # ten targets are no index
    for number in range(5, 80, 5):
        s[number].from_day(26, lost_backlinks=times(1.15))  # fifteen are
    for number in range(4, 80, 14):
        s[number].from_day(27, lost_backlinks=times(1.12))  # on the days after it six are enough
    for number in range(3, 80, 20):
        s[number].from_day(28, lost_backlinks=times(1.12))  # and four are not
    for number in range(1, 80, 4):
        s[number].from_day(34, lost_backlinks=times(0.85))
        s[number].from_day(34, spam_score=plus(-4))
    for number in range(2, 80, 5):
        s[number].from_day(39, spam_score=plus(3))
    return World("votes", frame(s))


def few_targets() -> World:
    """Nine targets: two that move together are not the index, and seven are."""
    s = sites(6, 9, 45, swing=0.002)
    s[3].from_day(30, lost_backlinks=times(1.4)), s[4].from_day(30, lost_backlinks=times(1.4))
    for number in range(2, 9):
        s[number].from_day(38, lost_backlinks=times(1.2), spam_score=plus(4))
    return World("few targets", frame(s))


def quiet_world() -> World:
    """Three targets that never move by much: what is usual at its floors."""
    s = [site(7001, 50, 250_000, swing=0.0002), site(7002, 50, 40_000, swing=0.0005), site(7003, 50, 8, swing=0.0)]
    s[0].from_day(44, lost_backlinks=times(1.035)), s[1].from_day(44, lost_backlinks=times(1.1))
    s[2].from_day(44, lost_backlinks=plus(25))
    return World("quiet", frame(s))


def own_thresholds() -> World:
    """Pairs of targets of the same history, of which the second has thresholds of its own."""
    pairs: list[tuple[dict[str, float | bool], dict[str, Change]]] = [
        ({"spam_points": 12.0}, {SPAM: plus(9)}),
        ({"spam_points": 3.0}, {SPAM: plus(4)}),
        ({"lost_links_min": 5000.0}, {LOST: times(1.5)}),
        ({"lost_percent": 80.0}, {LOST: times(1.5)}),
        ({"lost_percent": 4.0}, {LOST: times(1.08)}),
        ({"live_percent": 30.0}, {LIVE: plus(-150), LOST: plus(150)}),
        ({"live_percent": 2.0}, {LIVE: plus(-95), LOST: plus(95)}),
        ({"usual_swings": 60.0}, {SPAM: plus(9), LOST: times(1.5)}),
        ({"usual_swings": 2.0}, {LOST: times(1.19)}),
        ({"mute_flags": True}, {SPAM: plus(20), LOST: times(2)}),
    ]
    found, thresholds = [], {}
    for number, (own, changes) in enumerate(pairs):
        for copy in range(2):
            # Each pair on a day of its own: many on one day would be the index.
            swing = 0.025 if "usual_swings" in own else 0.003
            found.append(site(8003 + number, 60, 1000, swing=swing).from_day(36 + 2 * number, **changes))
            if copy:
                thresholds[f"t{2 * number + 1:02d}.example"] = own
    return World("own thresholds", frame(found), thresholds=thresholds)


def restarts() -> World:
    """Requests with other parameters: the history begins anew, and an open flag is closed with it."""
    s = sites(9, 8, 50)
    s[0].request(30, "second").from_day(30, lost_backlinks=times(3))  # what moved is what was asked for
    s[1].request(30, "second").from_day(40, spam_score=plus(20))
    s[2].from_day(29, spam_score=plus(16)).request(31, "second").from_day(34, spam_score=plus(17))
    s[3].request(30, "second").request(31, "first")
    s[4].request(30, "second").skip(30, 31).from_day(36, lost_backlinks=times(1.9))
    s[5].from_day(44, live_backlinks=plus(-500), lost_backlinks=plus(500)).request(43, "second")
    return World("restarts", frame(s, requests=True))


def doubles() -> World:
    """Several rows of a day: the latest counts, and one that does not say when it was captured is the oldest."""
    made = frame([site(10_000 + n, 30, 500 * (n + 1)) for n in range(4)], (SPAM, LOST))
    made["captured_at"] = pd.to_datetime(made["date"], utc=True) + pd.Timedelta(hours=6)
    again = made[made["date"] >= FIRST + dt.timedelta(days=25)].copy()
    again[SPAM] += 30
    again["captured_at"] += pd.Timedelta(hours=1)
    again.loc[again["target"] == "t01.example", "captured_at"] -= pd.Timedelta(hours=2)
    again.loc[again["target"] == "t02.example", "captured_at"] = pd.NaT
    return World("doubles", pd.concat([made, again], ignore_index=True))


def without_live() -> World:
    """Only what every history has: severity goes by the lost links themselves."""
    s = sites(11, 6, 40)
    s[1].from_day(34, lost_backlinks=times(2.2)), s[2].from_day(34, lost_backlinks=times(1.9))
    s[3].from_day(34, lost_backlinks=times(0.3)), s[4].from_day(34, spam_score=plus(15))
    return World("without live", frame(s, (SPAM, LOST)))


def other_settings() -> World:
    """No quiet days and small steps: what holds a change back then is its direction alone."""
    s = sites(12, 10, 45, swing=0.002)
    s[0].from_day(30, spam_score=plus(30)).from_day(31, spam_score=plus(-14))  # on its way back
    s[1].from_day(30, lost_backlinks=times(3)).from_day(32, lost_backlinks=times(0.6))
    s[2].from_day(30, spam_score=plus(-15)).from_day(31, spam_score=plus(8))
    s[3].from_day(30, spam_score=plus(9)).from_day(31, spam_score=plus(7)).from_day(32, spam_score=plus(7))
    s[4].from_day(30, live_backlinks=times(0.8), lost_backlinks=times(1.7))
    return World("other settings", frame(s), DetectionSettings(quiet_days=0, spam_points=3, lost_swings=4, caution=2))


def sensitive() -> World:
    """Restless targets with gaps, judged by limits so small that many readings lie close to one of them."""
    chance = random.Random(13)
    s = [site(13_000 + n, 44, 40 * 10 ** (n / 7), swing=0.02, drift=0.004, spam=30) for n in range(21)]
    for one in s:
        for name, size in ((LOST, 0.06), (LIVE, 0.03), (SPAM, 0.1)):
            for day in range(2, 44):
                if chance.random() < 0.25:
                    one.from_day(day, **{name: times(1 + size * (chance.random() - (0.4 if name == LOST else 0.6)))})
        one.skip(*(day for day in range(44) if chance.random() < 0.12))
        one.null(LIVE, *(day for day in range(44) if chance.random() < 0.05))
    for number in range(0, 21, 2):
        s[number].from_day(30, lost_backlinks=times(1.03 + 0.004 * number), spam_score=plus(2))
    for number in range(1, 21, 9):
        s[number].from_day(31, lost_backlinks=times(1.05)).from_day(32, spam_score=plus(2))
    thresholds: dict[str, dict[str, float | bool]] = {
        "t03.example": {"lost_percent": 5.0},
        "t05.example": {"lost_percent": 2.0, "live_percent": 0.5},
        "t08.example": {"lost_links_min": 30.0},
    }
    settings = DetectionSettings(
        spam_points=1, lost_links_min=2, live_percent=1, lost_swings=1.2, spam_swings=1.2, last_step_swings=0.8,
        confirmed_loss_ratio=1, readings_min=2, caution=2, quiet_days=1, louder=1.2, lost_percent=1.5,
    )  # fmt: skip
    return World("sensitive", frame(s), settings, thresholds)


def vendor_fault() -> World:
    """Most targets read near zero for three days and come back; later every number stands still."""
    s = sites(14, 14, 70, swing=0.004)
    for number, one in enumerate(s):
        if number < 12:
            one.from_day(30, until=33, live_backlinks=times(0.01), lost_backlinks=times(1.4))
        for name in (SPAM, LOST, LIVE):
            one.columns[name][60:65] = one.columns[name][59:60] * 5
    s[12].from_day(31, spam_score=plus(30))  # read on days that don't count: it is flagged when they do
    s[3].from_day(36, live_backlinks=times(0.4), lost_backlinks=times(2))
    return World("vendor fault", frame(s))


def weekly() -> World:
    """A reading on Mondays only: an index move, a week without, a step, a loss of half; one target is read on Thursdays."""
    s = sites(15, 30, 210, swing=0.004, drift=0.0004)
    for number, one in enumerate(s):
        one.from_day(140, lost_backlinks=times(1.25 + 0.002 * number))
        one.skip(*(day for day in range(210) if day % 7 or day == 119))
    s[4].from_day(154, lost_backlinks=times(1.6))
    s[5].from_day(161, spam_score=plus(12))
    s[6].from_day(168, live_backlinks=plus(-300), lost_backlinks=plus(300))
    s[7].from_day(140, live_backlinks=times(0.3), lost_backlinks=times(2))  # its own loss on the day of the move
    s[8].unread = {day for day in range(210) if day % 7 != 3}
    s[8].from_day(150, lost_backlinks=times(1.7))
    return World("weekly", frame(s))


def down() -> World:
    """Targets whose last link goes, that the vendor calls lost, that come back, that never had any link."""
    s = sites(16, 12, 50)
    for one, last in ((s[0], 40), (s[1], 50), (s[2], 33)):
        one.from_day(30, until=last, live_backlinks=times(0), lost_backlinks=times(3))
    s[2].from_day(38, until=44, live_backlinks=times(0))  # down again within two weeks
    s[3].from_day(25, lost_date=plus(1))
    s[4].from_day(0, until=20, live_backlinks=times(0), lost_date=plus(1))  # from its first reading on
    s[5].from_day(0, live_backlinks=times(0))
    s[6].from_day(34, live_backlinks=times(0)).null(LIVE, 34, 35)  # not read on the days before
    s[7].from_day(28, live_backlinks=times(0))
    s[8].from_day(28, live_backlinks=times(0)).request(28, "second")
    own: dict[str, dict[str, float | bool]] = {"t07.example": {"mute_flags": True}}
    return World("down", frame(s, (SPAM, LOST, LIVE, LOST_DATE), requests=True), thresholds=own)


def worlds() -> list[World]:
    return [
        steps(),
        losses(),
        refresh("refresh of lost links", live=False, requests=True),
        refresh("refresh of live links too", live=True),
        votes(),
        few_targets(),
        quiet_world(),
        own_thresholds(),
        restarts(),
        doubles(),
        without_live(),
        other_settings(),
        sensitive(),
        vendor_fault(),
        weekly(),
        down(),
    ]
