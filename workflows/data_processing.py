"""Process a month of bicycle trips: make or ingest, validate, transform, aggregate, report.

Each day is a file of its own (28 of about 4 MB by default, 115 MB in all), and a partition of its own all the way: days are
validated and transformed side by side, none waits for another. Rows that make no sense are put aside with the reason; a day
with too many of them, or one that cannot be read at all, is quarantined whole, and the run goes on without it. The numbers
depend only on `seed`, however often and wherever the tasks ran.

    headway run workflows/data_processing.py
    headway run workflows/data_processing.py --days 7 --rows 2000 --out /tmp/trips
    python workflows/data_processing.py           # the same in this process, without a service
"""

from __future__ import annotations

import hashlib
import html
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from headway import progress, task, workflow

HEADER = "trip,started,from,to,seconds,metres,rider"
RIDERS = ("member", "casual")
STATIONS = 120
FIRST_DAY = date(2026, 3, 2)  # a Monday
#: A day with a larger share of bad rows is not to be trusted at all.
MOST_BAD = 0.02
#: Minutes up to which trip lengths are counted, a minute each; the last bin holds all longer ones.
LONGEST = 60
WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")

Day = Mapping[str, Any]


@workflow
def data_processing(
    days: int = 28, rows: int = 75_000, seed: int = 11, out: str = "data_processing_report"
) -> dict[str, Any]:
    """Make, validate, transform, aggregate and report.

    Args:
        days: Partitions: one file each. At least 1.
        rows: Trips a day; 75,000 are about 4 MB.
        seed: Decides every trip, and what is wrong with which of them.
        out: Folder for `raw/`, `rejected/`, `quarantine/`, `clean/` and `report.html`, relative to where the run is started.
    """
    if days < 1 or rows < 1:
        raise ValueError(f"days={days}, rows={rows}: there must be at least one day with one trip")
    folder = str(Path(out).resolve())  # the workers have another working directory
    raw = make_day.map(list(range(days)), rows=rows, seed=seed, folder=folder)
    checked = validate.map(raw, folder=folder)
    counted = transform.map(checked, folder=folder)
    totals = aggregate(counted)
    report = write_report(totals, checked, folder=folder, seed=seed)
    return summary(totals, checked, report=report)


# -------------------------------------------------------------------------------------------------- the tasks


@task(cpu=1, memory="200MB", retries=2, estimate="500ms")
def make_day(number: int, rows: int, seed: int, folder: str) -> dict[str, Any]:
    """Write one day's file as the stations' computers would: mostly right. Stands for the download of a real one."""
    chance = np.random.default_rng((seed, number))
    day = FIRST_DAY + timedelta(days=number)
    busy = hours_of(day.weekday())
    moments = np.sort(chance.choice(24, rows, p=busy) * 3600 + chance.integers(0, 3600, rows))
    seconds = np.maximum(chance.lognormal(6.3, 0.6, rows), 61).astype(int)
    metres = (seconds * chance.normal(3.6, 0.6, rows).clip(1, 7)).astype(int)
    popular = 1 / np.arange(1, STATIONS + 1)
    starts, ends = chance.choice(STATIONS, (2, rows), p=popular / popular.sum())
    members = chance.random(rows) < (0.55 if day.weekday() > 4 else 0.8)
    midnight = datetime(day.year, day.month, day.day)
    lines = [HEADER]
    for row in range(rows):
        started = (midnight + timedelta(seconds=int(moments[row]))).isoformat()
        rider = RIDERS[0] if members[row] else RIDERS[1]
        lines.append(
            f"{number:02d}{row:07d},{started},S{starts[row]:03d},S{ends[row]:03d},{seconds[row]},{metres[row]},{rider}"
        )
    spoil(lines, chance, share=0.09 if number % 11 == 4 else 0.004)
    content = "\n".join(lines).encode()
    if number % 13 == 8:
        content = content[: len(content) // 3] + bytes(
            chance.integers(0, 256, 4096, dtype=np.uint8)
        )  # a torn upload
    path = write_file(Path(folder) / "raw" / f"{day}.csv", content)
    return {
        "day": str(day),
        "path": path,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }


@task(cpu=1, memory="200MB", retries=2, estimate="500ms")
def validate(raw: Day, folder: str) -> dict[str, Any]:
    """Look at each row; put bad ones aside, and the whole day where it is not to be trusted."""
    name, content = Path(raw["path"]).name, Path(raw["path"]).read_bytes()
    if hashlib.sha256(content).hexdigest() != raw["sha256"]:
        raise ValueError(f"{raw['path']} changed since it was ingested")
    found: dict[str, Any] = {**raw, "rows": 0, "bad": {}, "quarantined": ""}
    try:
        lines = content.decode().splitlines()
    except UnicodeDecodeError as error:
        write_file(Path(folder) / "quarantine" / name, content)
        return {**found, "quarantined": f"not text from byte {error.start:,} on"}
    if not lines or lines[0] != HEADER:
        write_file(Path(folder) / "quarantine" / name, content)
        return {**found, "quarantined": "another header than agreed"}
    reasons: Counter[str] = Counter()
    rejected, seen = [f"reason,{HEADER}"], set[str]()
    for number, line in enumerate(lines[1:]):
        wrong = fault(line, seen)
        if wrong:
            reasons[wrong] += 1
            rejected.append(f"{wrong},{line}")
        if number % 20_000 == 0:
            progress(number / len(lines))
    found |= {"rows": len(lines) - 1, "bad": dict(sorted(reasons.items()))}
    bad = sum(reasons.values())
    if bad > MOST_BAD * max(len(lines) - 1, 1):
        write_file(Path(folder) / "quarantine" / name, content)
        share = 100 * bad / (len(lines) - 1)
        return {
            **found,
            "quarantined": f"{share:.1f} % of its rows are bad, at most {100 * MOST_BAD:.0f} % may be",
        }
    if bad:
        write_file(Path(folder) / "rejected" / name, "\n".join(rejected).encode())
    return found


@task(cpu=1, memory="200MB", retries=2, estimate="400ms")
def transform(day: Day, folder: str) -> dict[str, Any] | None:
    """Turn the good rows into columns (`clean/<day>.npz`), and count what the report needs. None for a quarantined day."""
    if day["quarantined"]:
        return None
    seen = set[str]()
    rows = [
        line.split(",") for line in Path(day["path"]).read_text().splitlines()[1:] if not fault(line, seen)
    ]
    hours = np.array([int(row[1][11:13]) for row in rows], np.uint8)
    starts, ends = (np.array([int(row[place][1:]) for row in rows], np.uint8) for place in (2, 3))
    seconds, metres = (np.array([int(row[place]) for row in rows], np.int32) for place in (4, 5))
    members = np.array([row[6] == RIDERS[0] for row in rows], np.bool_)
    path = Path(folder) / "clean" / f"{day['day']}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{os.getpid()}.{path.name}")  # savez wants the ending
    np.savez(part, hours=hours, starts=starts, ends=ends, seconds=seconds, metres=metres, members=members)
    part.replace(path)
    return {
        "day": day["day"],
        "weekday": date.fromisoformat(day["day"]).weekday(),
        "trips": len(rows),
        "metres": int(metres.sum()),
        "members": int(members.sum()),
        "hours": np.bincount(hours, minlength=24).tolist(),
        "minutes": np.bincount(np.minimum(seconds // 60, LONGEST), minlength=LONGEST + 1).tolist(),
        "stations": np.bincount(starts, minlength=STATIONS).tolist(),
    }


@task(cpu=1)
def aggregate(days: Sequence[Day | None]) -> dict[str, Any]:
    """Add the days up. Raises if every one of them was quarantined: then there is nothing to report."""
    good = [day for day in days if day is not None]
    if not good:
        raise ValueError(f"all {len(days)} days were quarantined: see the folder quarantine/")
    heat = np.zeros((7, 24), int)
    of_weekday = Counter(day["weekday"] for day in good)
    for day in good:
        heat[day["weekday"]] += day["hours"]
    return {
        "days": len(good),
        "trips": sum(day["trips"] for day in good),
        "metres": sum(day["metres"] for day in good),
        "members": sum(day["members"] for day in good),
        # A weekday with fewer good days must not look quiet.
        "heat": [[count / max(of_weekday[row], 1) for count in heat[row].tolist()] for row in range(7)],
        "minutes": np.sum([day["minutes"] for day in good], axis=0).tolist(),
        "stations": np.sum([day["stations"] for day in good], axis=0).tolist(),
    }


@task(cpu=1)
def summary(totals: Mapping[str, Any], checked: Sequence[Day], report: str) -> dict[str, Any]:
    """What the run returns."""
    return {
        "trips": totals["trips"],
        "megabytes": round(sum(day["bytes"] for day in checked) / 1e6, 1),
        "days": f"{totals['days']} of {len(checked)}",
        "rejected rows": sum(sum(day["bad"].values()) for day in checked if not day["quarantined"]),
        "quarantined": {day["day"]: day["quarantined"] for day in checked if day["quarantined"]},
        "report": report,
    }


# -------------------------------------------------------------------------------------------------- the rules


def fault(line: str, seen: set[str]) -> str:
    """What is wrong with a row, or nothing. `seen` are the trips before it."""
    fields = line.split(",")
    if len(fields) != 7:
        return "fields missing"
    trip, started, start, end, seconds, metres, rider = fields
    if trip in seen:
        return "trip twice"
    seen.add(trip)
    try:
        datetime.fromisoformat(started)
    except ValueError:
        return "no such time"
    if not (is_station(start) and is_station(end)):
        return "no such station"
    if not (seconds.isdecimal() and metres.isdecimal()) or not 60 < int(seconds) < 86_400:
        return "impossible length"
    return "" if rider in RIDERS else "no such rider"


def is_station(text: str) -> bool:
    return text[:1] == "S" and text[1:].isdecimal() and int(text[1:]) < STATIONS


def hours_of(weekday: int) -> Any:
    """How a day's trips fall on its hours: two rushes on working days, a long afternoon at weekends."""
    hours = np.arange(24)
    if weekday > 4:
        shape = np.exp(-((hours - 14) ** 2) / 22)
    else:
        shape = (
            np.exp(-((hours - 8) ** 2) / 2)
            + 1.2 * np.exp(-((hours - 17.5) ** 2) / 4)
            + 0.3 * np.exp(-((hours - 13) ** 2) / 8)
        )
    shape = shape + 0.01
    return shape / shape.sum()


def spoil(lines: list[str], chance: Any, share: float) -> None:
    """Damage some rows, each in one of the ways that real files have."""
    for row in chance.choice(len(lines) - 1, int(share * (len(lines) - 1)), replace=False) + 1:
        fields = lines[row].split(",")
        kind = int(chance.integers(6))
        if kind == 0:
            fields.pop()
        elif kind == 1:
            fields[1] = fields[1].replace("T", "T3")
        elif kind == 2:
            fields[3] = "S999"
        elif kind == 3:
            fields[4] = f"-{fields[4]}"
        elif kind == 4:
            fields[6] = ""
        else:
            fields[0] = lines[row - 1].split(",")[0] if row > 1 else fields[0][:-1]
        lines[row] = ",".join(fields)


# ------------------------------------------------------------------------------------------------- the report


@task(cpu=1)
def write_report(totals: Mapping[str, Any], checked: Sequence[Day], folder: str, seed: int) -> str:
    """Write `report.html`, one file without any other, readable on a phone; the path."""
    rejected = sum(sum(day["bad"].values()) for day in checked if not day["quarantined"])
    page = Template(PAGE).substitute(
        trips=f"{totals['trips'] / 1e6:.2f}",
        kilometres=f"{totals['metres'] / 1e6:,.0f}",
        members=f"{100 * totals['members'] / totals['trips']:.0f}",
        megabytes=f"{sum(day['bytes'] for day in checked) / 1e6:,.0f}",
        days=totals["days"],
        of=len(checked),
        rejected=f"{rejected:,}",
        heat=heat_picture(totals["heat"]),
        minutes=length_picture(totals["minutes"]),
        stations=station_bars(totals["stations"]),
        partitions=partition_rows(checked),
        seed=seed,
    )
    return write_file(Path(folder) / "report.html", page.encode())


def heat_picture(heat: Sequence[Sequence[float]]) -> str:
    """Trips by weekday and hour: the darker, the more."""
    most = max(max(row) for row in heat) or 1
    cells = [
        f'<rect x="{30 + 14 * hour}" y="{16 * row}" width="13" height="15" rx="2" opacity="{0.06 + 0.94 * count / most:.2f}">'
        f"<title>{WEEKDAYS[row]} {hour}:00: {count:,.0f} trips</title></rect>"
        for row, counts in enumerate(heat)
        for hour, count in enumerate(counts)
    ]
    names = [f'<text x="0" y="{16 * row + 11}">{name}</text>' for row, name in enumerate(WEEKDAYS)]
    hours = [f'<text x="{30 + 14 * hour}" y="124">{hour}</text>' for hour in range(0, 24, 6)]
    return f'<svg viewBox="0 0 366 128" role="img" aria-label="Trips by weekday and hour">{"".join(cells + names + hours)}</svg>'


def length_picture(minutes: Sequence[int]) -> str:
    """How long trips take, a bar a minute; the last holds all longer ones."""
    most = max(minutes) or 1
    bars = [
        f'<rect x="{6 * minute}" y="{100 - 96 * count / most:.1f}" width="5" height="{96 * count / most:.1f}">'
        f"<title>{minute} min: {count:,} trips</title></rect>"
        for minute, count in enumerate(minutes)
    ]
    scale = [f'<text x="{6 * minute}" y="112">{minute}</text>' for minute in range(0, LONGEST, 10)]
    scale.append(f'<text x="{6 * LONGEST - 20}" y="112">{LONGEST}+ min</text>')
    return (
        f'<svg viewBox="0 0 380 116" role="img" aria-label="Trips by minutes">{"".join(bars + scale)}</svg>'
    )


def station_bars(stations: Sequence[int], limit: int = 10) -> str:
    """The stations where most trips begin."""
    order = sorted(range(len(stations)), key=lambda place: (-stations[place], place))[:limit]
    most = stations[order[0]] or 1
    rows = [
        f'<li><span>S{place:03d}</span><i style="width:{100 * stations[place] / most:.1f}%"></i><b>{stations[place]:,}</b></li>'
        for place in order
    ]
    return f"<ol class=bars>{''.join(rows)}</ol>"


def partition_rows(checked: Sequence[Day]) -> str:
    """One row a day: what became of it."""
    rows, reasons = [], Counter[str]()
    for day in checked:
        if day["quarantined"]:
            fate = f"<td class=bad colspan=2>quarantined: {html.escape(day['quarantined'])}</td>"
        else:
            reasons.update(day["bad"])
            bad = sum(day["bad"].values())
            fate = f"<td>{day['rows'] - bad:,}</td><td>{bad:,}</td>"
        rows.append(f"<tr><th scope=row>{day['day']}</th><td>{day['bytes'] / 1e6:.1f}</td>{fate}</tr>")
    head = "<tr><th>day</th><th>MB</th><th>rows kept</th><th>rejected</th></tr>"
    why = ", ".join(f"{count:,} {html.escape(reason)}" for reason, count in sorted(reasons.items()))
    told = f"<p>Rejected in all: {why}.</p>" if why else ""
    return f"<div class=wide><table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table></div>{told}"


def write_file(path: Path, content: bytes) -> str:
    """Replace the file in one step: a killed attempt leaves the old file or the new, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
    return str(path)


PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$trips million bicycle trips</title>
<style>
:root { color-scheme: light dark; --ink: #16202e; --soft: #5b6778; --line: #dfe4ea; --paper: #fff; --good: #0f766e; --bad: #be321e }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf0; --soft: #9aa6b6; --line: #2b3543; --paper: #10161f;
  --good: #2daa9b; --bad: #eb6950 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1.6rem 1.1rem 3rem; max-width: 44rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
h1 { font-size: 1rem; font-weight: 600; margin: 0 0 .8rem }
header .big { font-size: clamp(3rem, 16vw, 5rem); color: var(--ink);
  line-height: 1; font-weight: 700; letter-spacing: -.03em; margin: 0 0 .4rem }
.big small { font-size: .4em; font-weight: 600; color: var(--soft) }
header p, h2 + p { margin: 0 0 1rem; color: var(--soft) }
h2 { font-size: 1.15rem; margin: 2.4rem 0 .2rem; padding-top: 1.2rem; border-top: 1px solid var(--line) }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(8.5rem, 1fr)); gap: 1rem; margin: 1.6rem 0 0 }
dt { color: var(--soft); font-size: .85rem } dd { margin: 0; font-weight: 600 }
svg { display: block; width: 100%; height: auto } svg rect { fill: var(--good) }
svg text { font-size: 9px; fill: var(--soft) }
.bars { list-style: none; margin: 0; padding: 0; font-variant-numeric: tabular-nums }
.bars li { display: grid; grid-template-columns: 3.2rem 1fr 5rem; gap: .6rem; align-items: center; padding: .15rem 0 }
.bars i { height: .8rem; border-radius: .2rem; background: var(--good) } .bars b { font-weight: 500; text-align: right }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-size: .88rem; font-variant-numeric: tabular-nums }
th, td { text-align: left; padding: .3rem .7rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
th { font-weight: 500; color: var(--soft); white-space: nowrap } .bad { color: var(--bad); font-weight: 600 }
footer { margin-top: 2.6rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft); font-size: .85rem }
</style></head><body>
<header><h1>A month of bicycle trips</h1>
<p class="big">$trips<small> million</small></p>
<p>good trips from $days of $of days; $kilometres thousand kilometres, $members % of them by members.</p>
<dl><div><dt>Files read</dt><dd>$megabytes MB</dd></div><div><dt>Rows rejected</dt><dd>$rejected</dd></div>
<div><dt>Days kept</dt><dd>$days of $of</dd></div></dl></header>
<h2>When</h2><p>Trips by weekday and hour, on an average day.</p>
$heat
<h2>How long</h2><p>Trips by minutes.</p>
$minutes
<h2>From where</h2><p>The ten stations where most trips begin.</p>
$stations
<h2>Partitions</h2><p>What became of each day. Rejected rows are in <code>rejected/</code>, whole days in <code>quarantine/</code>.</p>
$partitions
<footer>Made-up data, seed $seed. Made by <code>workflows/data_processing.py</code>.</footer>
</body></html>
"""


if __name__ == "__main__":
    for name, value in data_processing().items():
        print(f"{name:>16}  {value}")
