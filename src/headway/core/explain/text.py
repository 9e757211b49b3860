"""An explanation's facts as lines for a reader."""

from __future__ import annotations

from typing import Any

from headway.core.admission import limits
from headway.core.explain.beside import beside_lines
from headway.core.explain.gangs import gang_lines
from headway.core.explain.plan import placed_text, plan_lines
from headway.core.explain.preempted import preempted_lines
from headway.core.explain.reckoned import reckoned_lines
from headway.core.ordering import shown
from headway.core.placement import placements
from headway.domain.units import show_amount, show_time


def _amount(resource: str, amount: int) -> str:
    return show_amount(resource, amount)


def _variants(facts: dict[str, Any]) -> str:
    """What it may run as, and whether that has been settled."""
    if facts["variant"] is None:
        return "may run as " + ", or ".join(facts["variants"])
    others = [text for i, text in enumerate(facts["variants"]) if i != facts["variant"]]
    return f"asks for {facts['demand']}, instead of " + " or ".join(others)


def _ends(expected: list[int], chosen: int) -> str:
    """`complete in 10 min (variant 2: in 2 h)`, reckoned when the choice was made."""
    others = ", ".join(
        f"variant {i + 1}: {'never' if end < 0 else 'in ' + show_time(end)}"
        for i, end in enumerate(expected)
        if i != chosen
    )
    return f"complete in {show_time(expected[chosen])} ({others})"


def _named(key: dict[str, int], now: int) -> str:
    return ", ".join(shown(name, value, now) for name, value in key.items())


def lines(facts: dict[str, Any]) -> list[str]:
    """One line a fact, the most telling first."""
    found = [f"asks for {facts['demand']}"] if "demand" in facts else []
    if "variants" in facts:
        found = [_variants(facts)]
    if "prefers" in facts:
        ends = _ends(facts["prefers"]["expected"], facts["variant"])
        again = show_time(facts["prefers"]["for_another"])
        found.append(f"waits for variant {facts['variant'] + 1}, {ends}; chooses anew in {again}")
    if "reckoned" in facts:
        found += reckoned_lines(facts["reckoned"], queued="blocked" in facts)
    if "where" in facts:
        found.append(f"wants {' and '.join(facts['where'])}")
    if "due_in" in facts:
        due = facts["due_in"]
        found.append(f"due in {show_time(due)}" if due >= 0 else f"its deadline was {show_time(-due)} ago")
    if "beside" in facts:
        found += beside_lines(facts["beside"])
    for o in facts.get("overrides", ()):
        if o["kind"] == "pause":
            found.append(f"paused by {o['by']}" + (f": {o['reason']}" if o["reason"] else ""))
            continue
        node = f" to {o['node']}" if o["node"] else ""
        ends = show_time(o["ends_in"])
        found.append(f"override {o['id']}: {o['kind']}{node} by {o['by']}, ends in {ends}: {o['reason']}")
    found += [f"waits for {o['task']}, which is {o['state']}" for o in facts.get("waits_for", ())]
    if "starts_after" in facts:
        found.append(f"backs off for another {show_time(facts['starts_after'])}")
    if "claim" in facts:
        claim = facts["claim"]
        since = show_time(claim["since"])
        found.append(f"room is being made on {claim['node']}: {claim['victims']} preempted {since} ago")
        found += [f"{task} has not left yet" for task in claim["still_there"]]
    if "preempted" in facts:
        found += preempted_lines(facts["preempted"])
    if "plan" in facts:
        found += plan_lines(facts["plan"])
    if "gang" in facts:
        found += gang_lines(facts["gang"])
    if "blocked" in facts:
        found += _queued_lines(facts)
    if "node" in facts:
        found += _placed_lines(facts)
    return found


def _queued_lines(facts: dict[str, Any]) -> list[str]:
    rule = f"{facts['policy']} ({facts['discipline']})"
    lines = [f"place {facts['place']} of {facts['queued']} by {rule}: {_named(facts['key'], facts['now'])}"]
    lines += [f"behind {other['task']}: {_named(other['key'], facts['now'])}" for other in facts["ahead"]]
    if facts["place"] - 1 > len(facts["ahead"]):
        lines.append(f"and {facts['place'] - 1 - len(facts['ahead'])} more")
    if "head_of_line" in facts:
        lines.append(f"nothing overtakes the head of the line, {facts['head_of_line']}")
    if "reservation" in facts:
        kept = facts["reservation"]
        soon = f"in {show_time(kept['in'])}" if kept["in"] else "as soon as what is there has ended"
        lines.append(f"{kept['node']} is reserved for {kept['task']}, expected to have room {soon}")
    lines += [_window_line(window) for window in facts.get("windows", ())]
    if "limit" in facts:
        lines += limits.lines(facts["limit"])
    words = {"fits": "have room", "limit": "have room, but for the limit"}
    counts = ", ".join(
        f"{count} by {label}" if label not in words else f"{count} {words[label]}"
        for label, count in facts["blocked"].items()
    )
    lines.append(f"of {facts['nodes']} nodes: {counts}" if facts["nodes"] else "there is no node")
    for node in facts["closest"]:
        if node["asked"]:
            name, _, small = node["blocked_by"].partition(" ")
            free, asked = _amount(name, node["free"]), _amount(name, node["asked"])
            lines.append(f"{node['node']}: {name} asked {asked}, {'has only' if small else 'free'} {free}")
        else:
            room = "has room" if node["blocked_by"] in words else node["blocked_by"]
            lines.append(f"{node['node']}: {room}")
    for holder in facts["held_by"]:
        left = f", about {show_time(holder['expected_left'])} left" if holder["expected_left"] else ""
        lines.append(f"{holder['task']} holds {holder['holds']}{left}")
    return lines


def _window_line(window: dict[str, Any]) -> str:
    when = (
        f"begins in {show_time(window['in'])}" if window["in"] else f"ends in {show_time(window['ends_in'])}"
    )
    whose = "it may use them" if window["owned"] else f"it is taken to run {show_time(window['expected'])}"
    why = f": {window['reason']}" if window["reason"] else ""
    return f"{window['kind']} {window['id']} of {window['nodes']} nodes {when}, {whose}{why}"


def _placed_lines(facts: dict[str, Any]) -> list[str]:
    placed = facts["placed"]
    devices = f" (gpu {', '.join(map(str, facts['devices']))})" if facts.get("devices") else ""
    lines = [f"attempt {facts['attempt']} on {facts['node']}{devices}: {_because(placed)}"]
    if "speed" in facts:
        known = facts["speed"]
        how = f"learned from {known['samples']} samples" if known["samples"] else "too few samples yet"
        lines.append(f"{facts['node']} is {known['milli'] / 1000:g} times as fast as a common node ({how})")
    if "took" in facts:
        lines.append(
            f"took {show_time(facts['took'])}, ended {show_time(facts['granted_ago'])} after it was placed"
        )
    if "running_for" in facts:
        lines.append(
            f"runs for {show_time(facts['running_for'])}, {show_time(facts['expected'])} were expected"
        )
    if "behind" in facts:
        lines.append(
            f"{facts['behind_count']} before it on lease {facts['lease']}: {', '.join(facts['behind'])}"
        )
    if "withdrawn" in facts:
        lines.append("asked to end, and has not ended yet")
    if "recalled" in facts:
        lines.append("called back, not acknowledged yet")
    if "evicted" in facts:
        whose = f" for {facts['reclaimed_by']}, whose quota it borrows" if "reclaimed_by" in facts else ""
        lines.append(f"asked to leave: its place is being cleared{whose}")
    others = facts.get("could_also_run_on", ())
    return lines + [
        f"{other['node']} has room too, {_left(facts['placement'], other['score'])}" for other in others
    ]


def _left(placement: str, score: int) -> str:
    return placements()[placement].show(score)


def _because(placed: dict[str, Any]) -> str:
    text = _rule(placed)
    if "variant" in placed:
        text += f"; as variant {placed['variant'] + 1}, {_ends(placed['variants'], placed['variant'])}"
    return text


def _rule(placed: dict[str, Any]) -> str:
    code = placed["code"]
    if code in placements():
        best = "the best fit" if code == "best_fit" else f"the first by {code}"
        text = f"{best}, {_left(code, placed['score'])}"
        if "alternative" in placed:
            text += f" (next best: {placed['alternative']}, {_left(code, placed['alternative_score'])})"
        elif "freed_nodes" in placed:
            text += f" (of {placed['freed_nodes']} just freed, nothing else had room)"
        return text
    if placed["code"] == "gang":
        where = f" within {placed['within']}" if placed["within"] else ""
        ahead = f", without delaying {placed['for']}" if "for" in placed else ""
        return f"with its gang {placed['gang']}: {placed['size']} on {placed['nodes']} nodes{where}{ahead}"
    if placed["code"] == "before_window":
        left, expected = show_time(placed["starts_in"]), show_time(placed["expected"])
        return f"ends before window {placed['window']} begins in {left}, {expected} expected"
    if placed["code"] == "reserved":
        return f"reserved for it as {placed['window']} for another {show_time(placed['until'])}"
    if placed["code"] == "backfill":
        ahead = f" without delaying {placed['for']}" if "for" in placed else ""
        return f"backfilled{ahead}, {_left(placed['placement'], placed['score'])}"
    if placed["code"] == "planned":
        return placed_text(placed)
    if placed["code"] == "beside_plan":
        ahead = f"without delaying the {placed['waiting']} that wait in plan {placed['plan']}"
        return f"{ahead}, {_left(placed['placement'], placed['score'])}"
    if placed["code"] == "preempts":
        return f"room was made for it by preempting {len(placed['victims'])} in {show_time(placed['waited'])}"
    if placed["code"] == "successor":
        return f"follows {placed['behind']} on its lease, {show_time(placed['expected'])} expected"
    return f"on the train behind {placed['behind']}, {show_time(placed['expected'])} expected"
