"""A probe's findings in words: a sentence for each question, and the verdict. Pure."""

from typing import Final

from backlinks_assets.formatting import counted, dollars
from backlinks_assets.probe.calls import UNKNOWN
from backlinks_assets.probe.findings import METRICS, Findings, Share

MIN_MOVES: Final = 3
"""Fewer moves of the summary say nothing."""
MOSTLY_EQUAL: Final = 0.9
NO_ANSWER: Final = "no_answer"
_NAMES: Final = {"live": "live links", "spam": "the spam score", "lost": "lost links"}


def code(found: Findings) -> str:
    """Return the verdict as one word: `no_answer`, `come_back`, `too_few_moves`, `bulk` or `full`."""
    if not any(share.of for share in found.equal.values()):
        return NO_ANSWER
    if len(found.days) < 2:
        return "come_back"
    if _all(found).of < MIN_MOVES:
        return "too_few_moves"
    return "full" if not _all(found).is_most or stale(found) else "bulk"


def stale(found: Findings) -> list[str]:
    """Return the metrics of whose moves bulk saw fewer than half."""
    return [name for name in METRICS if found.moves[name].of >= MIN_MOVES and not found.moves[name].is_most]


def _all(found: Findings) -> Share:
    return Share(sum(one.hits for one in found.moves.values()), sum(one.of for one in found.moves.values()))


def verdict(found: Findings) -> str:
    """Return the verdict in words, with what to do next."""
    match code(found):
        case "no_answer":
            return (
                "Both ways could not be compared, since one of them gave no numbers. Run it again; while bulk is refused, watch "
                "in full (BACKLINKS_WATCH=full)."
            )
        case "come_back":
            return (
                "Come back tomorrow (UTC): run it again. Whether bulk moves on the day on which the summary moves takes two "
                "days."
            )
        case "too_few_moves":
            return (
                f"The summaries moved too little to say ({_seen(_all(found))} by bulk; {MIN_MOVES} moves are needed). Run it "
                "again tomorrow."
            )
        case "bulk":
            said = f"Bulk moves with the summary: it saw {_seen(_all(found))}. Watching in bulk is fine."
            if differing := _differing(found):
                said += (
                    f" Its numbers are others ({' and '.join(_NAMES[name] for name in differing)}), which detection bears: a "
                    "target that changes over to bulk starts a new history."
                )
            return said
    return f"Bulk does not move on the day on which the summary moves: it saw {_seen(_all(found))}. {_advice(found)}"


def _advice(found: Findings) -> str:
    if "lost" in stale(found):
        return "Watch in full (BACKLINKS_WATCH=full)."
    return (
        "Watch in full (BACKLINKS_WATCH=full). Measured on histories, this would do too, but this program has no setting for it: "
        "lost and live links by bulk daily, the spam score by a live summary every 3 days ($8 a day for 1,000 targets, F1 .91)."
    )


def _differing(found: Findings) -> list[str]:
    return [
        name
        for name in ("live", "spam")
        if found.equal[name].of and found.equal[name].hits < MOSTLY_EQUAL * found.equal[name].of
    ]


def _seen(share: Share) -> str:
    return f"{share.hits} of {counted(share.of, 'move')}"


def sentences(found: Findings) -> dict[str, str]:
    """Return what is found for each question that the documentation leaves open."""
    return {
        "equal": _equal(found),
        "moves": _moves(found),
        "unknown": _unknown(found),
        "losses": _losses(found),
    }


def _equal(found: Findings) -> str:
    live, spam, lost = (found.equal[name] for name in METRICS)
    said = f"Live links agree within 2 % in {live.hits} of {counted(live.of, 'reading')}, the spam score within 1 point in "
    said += f"{spam.hits} of {spam.of}."
    if lost.of:
        said += (
            f" The summary's stock of lost links equals a year's losses in bulk within 2 % in {lost.hits} of {lost.of}."
        )
    return said


def _moves(found: Findings) -> str:
    if len(found.days) < 2:
        return "One day is read so far, and a move takes two."
    each = ", ".join(f"{_NAMES[name]} {found.moves[name].hits} of {found.moves[name].of}" for name in METRICS)
    said = f"Moves of the summary that bulk saw at the same reading: {each}."
    if (most := max(found.apart)) > 1:
        said += f" Readings are up to {most} days apart: numbers that are refreshed that seldom would pass too."
    return said


def _unknown(found: Findings) -> str:
    if not found.unknown:
        return f"Nothing was answered for the made-up name {UNKNOWN}."
    each = [
        f"{one.endpoint.split('/')[1]} {one.row} ({dollars(one.cost_usd)} for a call of {counted(one.targets, 'target')})"
        for one in found.unknown
    ]
    return f"For the made-up name {UNKNOWN} the API has: {'; '.join(each)}."


def _losses(found: Findings) -> str:
    said = []
    if (one := found.listed) is not None and one.listed is not None and one.in_bulk is not None:
        said.append(
            f"{one.target}: bulk counts {counted(one.in_bulk, 'lost link')} since {one.since}, and the list of single links "
            f"has {counted(one.listed, 'lost link')} last seen since then"
            + (f", the newest on {one.last_seen}." if one.last_seen else ".")
        )
    if (dated := found.dated) is None:
        return " ".join([*said, "By which day a loss is dated takes two days in a row."])
    if not dated.found:
        said.append("No new loss was counted from one day to the next, so that how losses are dated is not known.")
    elif 2 * dated.of_yesterday >= dated.found:
        said.append(
            f"Losses are dated by the day on which they are found: {dated.found:,} were new from one day to the next, and "
            f"{dated.of_yesterday:,} are counted since the day before."
        )
    else:
        said.append(
            f"Losses are dated earlier than they are found, as by the link's last visit: {dated.found:,} were new from one day "
            f"to the next, and only {dated.of_yesterday:,} are counted since the day before. A first day that moves along "
            "would miss them; the project's does not."
        )
    return " ".join(said)
