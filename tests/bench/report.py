# SPDX-License-Identifier: Apache-2.0
"""What came out: a table for people, JSON for programs.

Ratios are medians over those of firn; a goal is met when the median of the one
is at most its limit times that of the other."""
import dataclasses
import json
import platform
import time

from .stores import FAR_BANDWIDTH

MIB = 1 << 20


def goal_ratio(goal, results):
    """The figure to compare with the goal's limit, or None."""
    by = {r.label: r for r in results if r.samples}
    if goal.of not in by:
        return None
    own = by[goal.of].median(goal.metric)
    if goal.to is None:
        return own
    if goal.to == "line":
        other = by[goal.of].median("bytes_down") / FAR_BANDWIDTH
    elif goal.to in by:
        other = by[goal.to].median(goal.metric)
    else:
        return None
    return own / other if other else None


def goal_line(goal, results):
    ratio = goal_ratio(goal, results)
    if ratio is None:
        return None
    what = f"{goal.metric} of {goal.of}"
    what += f" / {goal.to}" if goal.to else ""
    verdict = "met" if ratio <= goal.limit else f"MISSED by {ratio / goal.limit:.1f} times"
    return f"  goal: {what} <= {goal.limit:.3g}: {ratio:.3g}, {verdict}"


def mib(n):
    return f"{n / MIB:,.0f}" if n >= 10 * MIB else f"{n / MIB:.2f}"


HEAD = (f"  {'':16} {'seconds':>9} {'min':>8} {'max':>8} {'x firn':>7} {'CPU s':>7} {'x firn':>7} "
        f"{'anon MiB':>8} {'res MiB':>8} {'mount s':>7} {'requests':>8} {'MiB down':>8} "
        f"{'MiB up':>8} {'stored':>8}")


def times(result, own, metric):
    """A median over that of firn; a dash where firn has none."""
    base = own.median(metric) if own else 0
    return f"{result.median(metric) / base:7.2f}" if base else f"{'-':>7}"


def row_text(row, results):
    lines = [f"{row.id}: {row.title}", HEAD]
    own = next((r for r in results if r.label == "firn" and r.samples), None)
    for r in results:
        if r.without or not r.samples:
            why = (f"absent ({r.absent})" if r.absent else
                   f"skipped: {r.skipped}" if r.skipped else f"failed: {r.failed[:200]}")
            lines.append(f"  {r.label:16} {why}")
            continue
        m = r.median
        seconds = [s.seconds for s in r.samples]
        mount = sorted(r.mount_seconds)[len(r.mount_seconds) // 2] if r.mount_seconds else 0
        lines.append(
            f"  {r.label:16} {m('seconds'):9.3f} {min(seconds):8.3f} {max(seconds):8.3f} "
            f"{times(r, own, 'seconds')} {m('cpu'):7.2f} {times(r, own, 'cpu')} "
            f"{m('anon MiB'):8.0f} "
            f"{max(s.resident for s in r.samples) / 1024:8.0f} {mount:7.2f} "
            f"{m('requests'):8,.0f} {mib(m('bytes_down')):>8} {mib(m('bytes_up')):>8} "
            f"{mib(m('stored')):>8}")
    lines += filter(None, (goal_line(g, results) for g in row.goals))
    return "\n".join(lines) + "\n"


def machine():
    names = {line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="ascii")
             if line.startswith("model name")}
    with open("/proc/meminfo", encoding="ascii") as f:
        memory = int(f.readline().split()[1]) >> 10
    with open("/proc/loadavg", encoding="ascii") as f:
        load = f.read().split()[0]
    count = open("/proc/cpuinfo", encoding="ascii").read().count("processor\t")
    return {"cpus": count, "cpu": ", ".join(sorted(names)), "memory_mib": memory,
            "kernel": platform.release(), "load_at_start": float(load)}


def document(bench, rows, versions, about):
    """`rows`: list of (row, results)."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "machine": about,
        "versions": versions, "scale": bench.inputs.scale, "runs": bench.reps,
        "store": bench.stores.kind, "notes": bench.inputs.notes,
        "rows": [{
            "id": row.id, "title": row.title,
            "entries": [dataclasses.asdict(r) for r in results],
            "goals": [dict(dataclasses.asdict(g), ratio=goal_ratio(g, results))
                      for g in row.goals]} for row, results in rows]}


def write_json(path, doc):
    path.write_text(json.dumps(doc, indent=1) + "\n", encoding="utf-8")


def missed(rows):
    """Goals not met, the worst first: (factor, row id, line)."""
    found = []
    for row, results in rows:
        for g in row.goals:
            ratio = goal_ratio(g, results)
            if ratio is not None and ratio > g.limit:
                found.append((ratio / g.limit, row.id, goal_line(g, results).strip()))
    return sorted(found, reverse=True)
