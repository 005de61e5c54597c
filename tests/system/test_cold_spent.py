# SPDX-License-Identifier: Apache-2.0
"""What a thaw says that it spent is what the store bills for what it accepted."""
import os
import pty
import signal
import subprocess

import pytest

from cold import DAY, Cold, both
from firn_tool import BUILD, mount_process, wait_for


def billed(cold):
    bill = cold.sim.meter.describe()
    return bill["restores"] + bill["copies_asked"]


def near(amount):
    return pytest.approx(amount, rel=0.01)


def spent(cold, *args):
    return float(cold.thaw(*args)[1]["spent"])


def job(cold):
    """The one job of this host."""
    jobs = cold.firn.json("thaw", "--list")
    assert len(jobs) == 1, jobs
    return jobs[0]


def two_classes(cold):
    for tier in ("GLACIER", "DEEP_ARCHIVE"):
        cold.tier = tier
        cold.add(tier, files=2, size=3_000_000)
    cold.sim.meter.reset()


@both
def test_as_billed(cold):
    """Of packs in two classes; once more at a faster tier; and prolonged."""
    two_classes(cold)
    before = spent(cold, "--tier", "bulk", "--days", "5", "latest")
    assert before == near(billed(cold)) and float(job(cold)["spent"]) == before
    quote, summary = cold.thaw("--tier", "standard", "--days", "5", "latest")
    assert quote["hasten"]["packs"] == 2
    told = quote["tiers"]["standard"]
    more = sum(float(told[part]) for part in ("requests", "retrieval", "copies"))
    assert float(summary["spent"]) == more and before + more == near(billed(cold))
    # A second time nothing is asked for.
    assert spent(cold, "--tier", "standard", "--days", "5", "latest") == 0

    cold.all_ready()
    now = cold.sim.clock.now()
    cold.sim.ends("bucket", now + 6 * DAY, prefix="some/prefix/data/")
    cold.sim.meter.reset()
    more = spent(cold, "--tier", "standard", "--days", "30", "latest")
    size = sum(cold.firn.objects.sizes("data/").values())
    longer = size / 2**30 * 0.023 * 24 / 30
    assert more == near(billed(cold) + longer)


def test_refused_is_not_spent(cold):
    """By whom it may, at a tier that is full, or asked for by another host."""
    cold.tier = "GLACIER"
    for name in "abc":
        cold.add(name, files=1)
    a, b = (cold.needed(cold.src / name).pop() for name in "ab")
    cold.sim.meter.reset()
    cold.sim.faults.add(kind="403", verb="RestoreObject", prefix=f"some/prefix/{a}")
    cold.sim.faults.add(kind="no-expedited", verb="RestoreObject",
                        prefix=f"some/prefix/{b}")
    lines = cold.firn.json("thaw", "--yes", "--tier", "expedited", "latest", status=1)
    assert float(lines[-1]["spent"]) == near(billed(cold))
    cold.sim.faults.clear()
    other = Cold(cold.firn.client())
    paid = billed(cold)
    assert spent(other, "--tier", "standard", "latest") == near(billed(cold) - paid)
    assert spent(cold, "--tier", "standard", "latest") == 0


def test_killed_and_continued(cold):
    """One accepted, one accepted without an answer, one not: kill -9."""
    for name in "abc":
        cold.add(name, files=1)
    a, b, c = (cold.needed(cold.src / name).pop() for name in "abc")
    cold.sim.meter.reset()
    cold.sim.faults.add(kind="lost-reply", verb="RestoreObject",
                        prefix=f"some/prefix/{b}")
    cold.sim.faults.add(kind="throttling", verb="RestoreObject",
                        prefix=f"some/prefix/{c}")
    run = cold.firn.start("thaw", "--yes", "latest")
    wait_for(lambda: {a, c} <= cold.asked() and billed_requests(cold) == 2, "the requests")
    run.kill()
    run.wait()
    # What it had sent is answered, so nothing changes any more.
    wait_for(lambda: not cold.sim.server.open, "the end of its connections")
    paid = billed(cold)
    assert paid <= float(job(cold)["spent"]) * 1.01
    cold.sim.faults.clear()
    # What is left is within what was agreed to, as what was refused is not spent.
    cold.firn("thaw", "--continue", stdin=b"")
    assert cold.asked() == {a, b, c} and billed_requests(cold) == 3
    assert float(job(cold)["spent"]) == near(billed(cold))
    assert billed(cold) > paid
    # And a budget for all of it counts what was spent before the kill.
    cold.all_ready()
    cold.expire(a, b, c)
    r = cold.firn("thaw", "--continue", "--yes", "--budget", f"{billed(cold) * 1.1:.9f}",
                  status=1)
    assert "budget" in r.err and billed_requests(cold) == 3


@pytest.mark.usefixtures("fuse")
def test_killed_mount(cold):
    """Of three, two were accepted: the next mount counts those."""
    for name in "abc":
        cold.add(name, files=1)
    a, b, c = (cold.needed(cold.src / name).pop() for name in "abc")
    cold.sim.meter.reset()
    cold.sim.faults.add(kind="throttling", verb="RestoreObject",
                        prefix=f"some/prefix/{c}")
    where = cold.firn.work / "mnt"

    def read(*names):
        for name in names:
            subprocess.run(["cat", where / ("latest" + str(cold.src)) / name / "file0"],
                           check=False, capture_output=True)
    with cold.firn.mount(options="cold=thaw,thaw-poll=1,thaw-budget=100"):
        read("a", "b", "c")
        wait_for(lambda: {a, b, c} <= cold.asked() and billed_requests(cold) == 2,
                 "the requests")
        os.kill(mount_process(where), signal.SIGKILL)
        wait_for(lambda: mount_process(where) == 0, "its end")
    wait_for(lambda: not cold.sim.server.open, "the end of its connections")
    paid = billed(cold)
    assert 0 < paid <= float(job(cold)["spent"]) * 1.01
    cold.sim.faults.clear()
    with cold.firn.mount(options="cold=thaw,thaw-poll=1,thaw-budget=100"):
        wait_for(lambda: float(job(cold)["spent"]) == near(paid), "the count")
        read("a", "b", "c")
        wait_for(lambda: billed_requests(cold) == 3, "the last request")
        wait_for(lambda: float(job(cold)["spent"]) == near(billed(cold)), "the count")
    assert billed(cold) > paid


@pytest.mark.parametrize("answer", [b"no", b"yes"])
def test_no_more_than_agreed(cold, answer):
    """A copy ends while the question is open: that is asked about anew."""
    for name in "ab":
        cold.add(name, files=1)
    cold.firn("thaw", "--yes", "latest", cold.src / "a")
    a, b = (cold.needed(cold.src / name).pop() for name in "ab")
    agreed = float(cold.quote("latest", cold.src / "b")["tiers"]["standard"]["sum"])
    ours, theirs = pty.openpty()
    run = subprocess.Popen([BUILD / "firn", "thaw", "latest"], stdin=theirs,
                           stdout=theirs, stderr=theirs, env=cold.firn.env)
    os.close(theirs)

    def question():
        told = b""
        while b"?" not in told:
            told += os.read(ours, 4096)
        return told
    question()
    cold.ready(a)
    cold.expire(a)
    cold.sim.stats.reset()
    cold.sim.meter.reset()
    os.write(ours, b"yes\n")
    assert b"copies have ended meanwhile" in question()
    # What was agreed to is enough for one of them.
    assert billed(cold) <= agreed and billed_requests(cold) == 1
    os.write(ours, answer + b"\n")
    while True:
        try:
            if not os.read(ours, 4096):
                break
        except OSError:
            break
    os.close(ours)
    assert run.wait() == (0 if answer == b"yes" else 1)
    assert billed_requests(cold) == (2 if answer == b"yes" else 1)
    assert cold.accepted_once() and cold.asked() <= {a, b}
    spent = [float(job["spent"]) for job in cold.firn.json("thaw", "--list")]
    assert len(spent) == 2 and near(billed(cold)) in spent


def test_budget_of_several(cold):
    """A job that the budget is too small for is no end of the others."""
    for name in "abc":
        cold.add(name, files=1)
    cold.thaw("latest", cold.src / "a", cold.src / "b")
    cold.thaw("latest", cold.src / "c")
    cost = billed(cold) / 3
    cold.all_ready()
    cold.expire(*cold.asked())
    cold.sim.stats.reset()
    cold.sim.meter.reset()
    r = cold.firn("thaw", "--continue", "--yes", "--budget", f"{cost * 2.5:.9f}", status=1)
    assert "budget" in r.err
    assert cold.asked() == cold.needed(cold.src / "c") and billed_requests(cold) == 1


def billed_requests(cold):
    return sum(cold.sim.meter.describe()["restore_requests"].values())
