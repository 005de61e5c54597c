# SPDX-License-Identifier: Apache-2.0
"""`firn thaw`: what it asks for, says, costs, and how it goes on."""
import json
import os
import signal

import pytest

from cold import DAY, Cold, both, everywhere
from firn_tool import assert_same, wait_for


@both
def test_one_directory(cold, work):
    """The packs that are asked for are exactly those needed."""
    for name in "abc":
        cold.add(name)
    wanted = cold.needed(cold.src / "b")
    assert len(wanted) == 1
    cold.sim.stats.reset()
    quote = cold.quote("latest", cold.src / "b")
    assert quote["cold"]["packs"] == quote["needed"]["packs"] == 1
    assert cold.asked() == set()
    quote, summary = cold.thaw("latest", cold.src / "b")
    assert cold.asked() == wanted and cold.accepted_once()
    assert summary["waiting"] == 1
    # No other pack was looked at but by listing, and none was read.
    seen = {r.key.removeprefix("some/prefix/") for r in cold.sim.stats.requests if r.key}
    assert {key for key in seen if key.startswith("data/")} == wanted
    assert cold.refused_gets() == 0

    # The same again, on this host and on another one, asks for nothing.
    again, _ = cold.thaw("latest", cold.src / "b")
    assert again["thawing"]["packs"] == 1 and again["cold"]["packs"] == 0
    other = Cold(cold.firn.client())
    again, _ = other.thaw("latest", cold.src / "b")
    assert again["thawing"]["packs"] == 1
    assert cold.accepted_once()

    cold.all_ready()
    status = cold.firn.json("thaw", "--status")
    assert status[0]["thawed"]["packs"] == 1 and status[0]["cold"]["packs"] == 2
    assert status[0]["thawed_until"]
    assert len(status) == 2		# and the one job of this host, seen done now
    assert cold.firn.json("thaw", "--list") == []
    cold.firn("restore", f"latest:{cold.src}/b", work / "out")
    assert_same(cold.src / "b", work / "out")
    cold.firn("restore", f"latest:{cold.src}/a", work / "other", status=1)


def test_whole_generation_and_dedup(cold):
    """A file that was backed up before needs the pack of then."""
    cold.add("a")
    cold.add("b")
    (cold.src / "c").mkdir()
    (cold.src / "c" / "copy").write_bytes((cold.src / "a" / "file1").read_bytes())
    (cold.src / "c" / "small").write_bytes(b"inline")
    cold.backup()
    assert cold.needed(cold.src / "c") == cold.needed(cold.src / "a" / "file1")
    cold.thaw(f"latest:{cold.src}/c")
    assert cold.asked() == cold.needed(cold.src / "c")
    cold.thaw("latest")
    assert cold.asked() == set(cold.firn.objects.names("data/")) and cold.accepted_once()


def test_several_paths(cold):
    for name in "abcd":
        cold.add(name, files=1)
    paths = [cold.src / "a", cold.src / "c" / "file0"]
    cold.thaw("latest", *paths)
    assert cold.asked() == cold.needed(*paths) and len(cold.asked()) == 2
    r = cold.firn("thaw", "--yes", "latest", cold.src / "none", status=1)
    assert "cannot find" in r.err
    r = cold.firn("thaw", "--yes", f"latest:{cold.src}/a", cold.src / "c", status=2)
    assert "GENERATION" in r.err


def test_nothing_inline_needs_a_thaw(cold):
    cold.src.mkdir()
    (cold.src / "small").write_bytes(b"x" * 100)
    cold.backup()
    quote, summary = cold.thaw("latest")
    assert quote["needed"]["packs"] == 0 and summary["waiting"] == 0
    assert cold.asked() == set()


@everywhere
@pytest.mark.parametrize("tier,storage", [("bulk", "DEEP_ARCHIVE"),
                                          ("standard", "DEEP_ARCHIVE"),
                                          ("standard", "GLACIER"),
                                          ("expedited", "GLACIER")])
def test_quote_is_what_is_billed(cold, tier, storage):
    """Within one percent; the copies by the days that were asked for."""
    cold.tier = storage
    for name in "ab":
        cold.add(name, files=2, size=3_000_000)
    cold.sim.meter.reset()
    quote, _ = cold.thaw("--tier", tier, "--days", "5", "latest")
    told = {k: float(v) for k, v in quote["tiers"][tier].items() if k not in
            ("offered", "seconds")}
    billed = cold.sim.meter.describe()
    assert told["requests"] + told["retrieval"] == pytest.approx(billed["restores"], rel=0.01)
    assert told["copies"] == pytest.approx(billed["copies_asked"], rel=0.01)
    assert billed["restore_requests"] == {tier.capitalize(): 2}
    assert float(quote["transfer"]) > 0
    cold.all_ready()
    cold.sim.meter.reset()
    # Keeping what is there for longer costs the request, and its days.
    quote, _ = cold.thaw("--tier", tier, "--days", "30", "latest")
    assert quote["renew"]["packs"] == 2 and quote["cold"]["packs"] == 0
    told = float(quote["tiers"][tier]["requests"])
    assert float(quote["tiers"][tier]["retrieval"]) == 0
    assert told == pytest.approx(cold.sim.meter.describe()["restores"], rel=0.01)


def test_tiers_side_by_side(cold):
    cold.add("a")
    text = cold.firn("thaw", "--dry-run", "latest").out
    assert "not offered" in text and "12 hours" in text and "48 hours" in text
    assert "USD" in text and "us-east-1" in text
    assert cold.asked() == set()
    r = cold.firn("thaw", "--yes", "--tier", "expedited", "latest", status=1)
    assert "expedited" in r.err and cold.asked() == set()


def test_hours_of_each_class(cold):
    """What is ready when is by the class of the packs that are needed, whatever
    class new ones are of."""
    for tier in ("GLACIER", "DEEP_ARCHIVE"):
        cold.tier = tier
        cold.add(tier, files=1)
    cold.firn("tier", "set", "STANDARD_IA")
    hours = lambda *args: {tier: q["seconds"] // 3600 for tier, q in
                           cold.quote("latest", *args)["tiers"].items() if q["offered"]}
    assert hours(cold.src / "GLACIER") == {"expedited": 0, "standard": 5, "bulk": 12}
    assert hours(cold.src / "DEEP_ARCHIVE") == {"standard": 12, "bulk": 48}
    assert hours() == {"standard": 12, "bulk": 48}
    cold.thaw("latest", cold.src / "DEEP_ARCHIVE")
    assert hours() == {"expedited": 0, "standard": 5, "bulk": 12}


@everywhere
def test_another_host_was_faster(cold, work):
    """Between the look of one host and its request another has asked: nothing is
    paid for twice, and both come to their end."""
    cold.add("a", files=1)
    pack = cold.needed(cold.src / "a").pop()
    other = cold.firn.client()
    refused = lambda: cold.restores().get(pack, {}).get("ThrottlingException", 0)
    cold.sim.faults.add(kind="throttling", verb="RestoreObject")
    slow = cold.firn.start("thaw", "--yes", "--wait", "--poll", "1", "--json", "latest")
    # It has looked, and tries again now and then.
    wait_for(lambda: refused() > 3 or slow.poll() is not None, "requests of the one")
    assert cold.sim.begin_thaw("bucket", [f"some/prefix/{pack}"]) == 1
    cold.sim.faults.clear()
    wait_for(lambda: cold.restores()[pack].get("RestoreAlreadyInProgress")
             or slow.poll() is not None, "the refusal")
    restore = other.start("restore", "--thaw", "--yes", "--poll", "1",
                          f"latest:{cold.src}", work / "out")
    cold.all_ready()
    stdout, stderr = slow.communicate()
    assert slow.returncode == 0, stderr
    assert json.loads(stdout.splitlines()[-1])["spent"] == "0.00"
    assert restore.wait() == 0, restore.communicate()
    assert_same(cold.src, work / "out")
    assert "202" not in cold.restores()[pack]


def test_needs_yes(cold):
    cold.add("a")
    r = cold.firn("thaw", "latest", status=2)
    assert "--yes" in r.err and cold.asked() == set()


def test_budget(cold):
    cold.add("a")
    need = float(cold.quote("latest")["tiers"]["standard"]["sum"])
    r = cold.firn("thaw", "--yes", "--budget", f"{need * 0.9:.9f}", "latest", status=1)
    assert "budget" in r.err and cold.asked() == set()
    r = cold.firn("thaw", "--yes", "--budget", "much", "latest", status=2)
    cold.firn("thaw", "--yes", "--budget", f"{need * 1.1:.9f}", "latest")
    assert cold.asked() == cold.needed(cold.src)


def test_budget_without_prices(cold):
    """Of a store that is not Amazon's nobody knows the prices."""
    del cold.firn.env["FIRN_PRICES"]
    cold.add("a")
    quote = cold.quote("latest")
    assert "sum" not in quote["tiers"]["bulk"] and quote["tiers"]["bulk"]["seconds"]
    r = cold.firn("thaw", "--yes", "--budget", "100", "latest", status=1)
    assert "--prices" in r.err and cold.asked() == set()


def test_wait(cold, work):
    """It ends when the last pack is there, and what the cache has needs none."""
    for name in "abc":
        cold.add(name, files=1)
    job = cold.firn.start("thaw", "--yes", "--wait", "--then-cache", "--poll", "1", "latest")
    wait_for(lambda: len(cold.asked()) == 3, "requests")
    for pack in sorted(cold.asked()):
        assert job.poll() is None
        cold.ready(pack)
    assert job.wait() == 0, job.communicate()
    assert cold.firn.json("thaw", "--list") == []
    cold.expire(*cold.asked())
    quote = cold.quote("latest")
    assert quote["needed"]["packs"] == 0 and quote["cached"] == quote["bytes"] > 0
    # They are cold again, and are read from the cache.
    cold.firn("restore", "latest", work / "out")
    assert cold.accepted_once()


def test_cache_that_cannot_be_filled(cold):
    """Is told before anything is paid for."""
    cold.add("a")
    r = cold.firn("thaw", "--yes", "--wait", "--then-cache", "--no-cache", "latest", status=1)
    assert "no disk cache" in r.err and cold.asked() == set()
    r = cold.firn("thaw", "--yes", "--then-cache", "latest", status=2)
    assert "--wait" in r.err


def test_interrupted_and_continued(cold):
    for name in "ab":
        cold.add(name, files=1)
    job = cold.firn.start("thaw", "--yes", "--wait", "--poll", "1", "latest")
    wait_for(lambda: len(cold.asked()) == 2, "requests")
    job.send_signal(signal.SIGINT)
    assert job.wait() == 130, job.communicate()
    jobs = cold.firn.json("thaw", "--list")
    assert len(jobs) == 1 and jobs[0]["packs"] == 2
    cold.all_ready()
    cold.firn("thaw", "--continue", "--wait", "--poll", "1")
    assert cold.firn.json("thaw", "--list") == []
    assert cold.accepted_once()


def test_cancel(cold):
    cold.add("a")
    cold.thaw("latest")
    r = cold.firn("thaw", "--cancel")
    assert "cannot be called back" in r.out
    assert cold.firn.json("thaw", "--list") == []
    cold.firn("thaw", "--cancel")
    cold.firn("thaw", "--cancel", "ffff", status=1)


@everywhere
def test_expired_before_it_is_read(cold, work):
    """What has ended is cold again, and asked for again."""
    cold.add("a")
    cold.thaw("--days", "1", "latest")
    cold.all_ready()
    cold.sim.clock.advance(3 * DAY)
    cold.firn("restore", "latest", work / "out", status=1)
    quote, _ = cold.thaw("--days", "1", "latest")
    assert quote["cold"]["packs"] == 1
    cold.all_ready()
    cold.firn("restore", f"latest:{cold.src}", work / "out2")
    assert_same(cold.src, work / "out2")


def test_faster_tier(cold):
    """A thaw that is running is hastened, where this host knows its tier; where
    not, only when told to."""
    cold.add("a")
    cold.thaw("--tier", "bulk", "latest")
    cold.thaw("--tier", "bulk", "latest")
    assert cold.accepted_once()
    other = Cold(cold.firn.client())
    quote, _ = other.thaw("--tier", "standard", "latest")
    assert quote["thawing"]["packs"] == 1 and quote["hasten"]["packs"] == 0
    assert cold.accepted_once()
    quote, _ = cold.thaw("--tier", "standard", "latest")
    assert quote["hasten"]["packs"] == 1
    tiers = cold.sim.meter.describe()["restore_requests"]
    assert tiers == {"Bulk": 1, "Standard": 1}
    # And no slower one after that.
    quote, _ = cold.thaw("--tier", "bulk", "latest")
    assert quote["thawing"]["packs"] == 1
    assert cold.sim.meter.describe()["restore_requests"] == tiers


def test_faster_tier_elsewhere(cold):
    cold.add("a")
    cold.thaw("--tier", "bulk", "latest")
    other = Cold(cold.firn.client())
    quote, _ = other.thaw("--tier", "standard", "--hasten", "latest")
    assert quote["hasten"]["packs"] == 1
    assert cold.sim.meter.describe()["restore_requests"] == {"Bulk": 1, "Standard": 1}


@everywhere
def test_no_expedited_capacity(cold):
    """Falls back to the standard tier, with the new price, within the budget."""
    cold.tier = "GLACIER"
    for name in "abc":
        cold.add(name)
    cold.sim.set_quirks(add=["no-expedited"])
    sums = {tier: float(q["sum"]) for tier, q in cold.quote("latest")["tiers"].items()}
    assert sums["standard"] < sums["expedited"]
    r = cold.firn("thaw", "--yes", "--tier", "expedited", "latest")
    assert "no capacity" in r.err and "standard" in r.err
    assert cold.asked() == set(cold.firn.objects.names("data/"))
    assert cold.sim.meter.describe()["restore_requests"] == {"Standard": 3}


def test_no_expedited_capacity_later(cold):
    """What ended while it waited is asked for at the next tier, too."""
    cold.tier = "GLACIER"
    for name in "ab":
        cold.add(name, files=1)
    a = cold.needed(cold.src / "a").pop()
    job = cold.firn.start("thaw", "--yes", "--wait", "--poll", "1", "--tier", "expedited",
                          "latest")
    wait_for(lambda: len(cold.asked()) == 2, "the requests")
    cold.sim.set_quirks(add=["no-expedited"])
    cold.ready(a)
    cold.expire(a)
    wait_for(lambda: cold.sim.meter.describe()["restore_requests"].get("Standard")
             or job.poll() is not None, "the request at the next tier")
    cold.all_ready()
    stdout, stderr = job.communicate()
    assert job.returncode == 0 and b"no capacity" in stderr, stderr
    assert cold.sim.meter.describe()["restore_requests"] == {"Expedited": 2, "Standard": 1}


@both
def test_may_not_restore(cold):
    """Permission to read, and none to thaw: said once, with what is missing."""
    for name in "ab":
        cold.add(name)
    cold.sim.faults.add(kind="403", verb="RestoreObject")
    r = cold.firn("thaw", "--yes", "latest", status=1)
    assert "s3:RestoreObject" in r.err


@everywhere
def test_throttled(cold):
    for i in range(6):
        cold.add(f"d{i}", files=1)
    cold.sim.faults.add(kind="throttling", verb="RestoreObject", burst=2, times=4)
    cold.thaw("latest")
    assert cold.asked() == set(cold.firn.objects.names("data/"))


@everywhere
def test_pack_is_gone(cold):
    for name in "ab":
        cold.add(name)
    gone = cold.needed(cold.src / "a").pop()
    cold.firn.objects.delete(gone)
    lines = cold.firn.json("thaw", "--yes", "latest", status=1)
    assert lines[0]["missing"]["packs"] == 1
    assert cold.asked() == cold.needed(cold.src / "b")


def test_hot_repository(sim):
    """Nothing to be done, and nothing is asked."""
    hot = Cold(sim, tier="STANDARD")
    hot.add("a")
    quote, summary = hot.thaw("latest")
    assert quote["readable"]["packs"] == 1 and summary["waiting"] == 0
    assert hot.asked() == set()


def test_local_repository(local, work):
    (work / "src").mkdir()
    (work / "src" / "f").write_bytes(os.urandom(10000))
    local.backup("--series", "s", work / "src")
    assert "can be read now" in local("thaw", "latest").out


def test_continue_does_not_pay_again(cold):
    """What ended after it was paid for is a thaw of its own, to be agreed to."""
    cold.add("a", files=1)
    cold.thaw("latest", "--budget", "1")
    cold.all_ready()
    cold.expire(*cold.asked())
    r = cold.firn("thaw", "--continue", stdin=b"", status=2)
    assert "--yes" in r.err and cold.accepted_once()
    cold.firn("thaw", "--continue", "--yes")
    assert [sum(n.values()) for n in cold.restores().values()] == [2]


def note_and_kill(cold, name):
    """A job that was agreed to, and asked for nothing yet."""
    cold.sim.faults.add(kind="throttling", verb="RestoreObject")
    jobs = len(cold.firn.json("thaw", "--list"))
    job = cold.firn.start("thaw", "--yes", "latest", cold.src / name)
    wait_for(lambda: len(cold.firn.json("thaw", "--list")) > jobs, "the job")
    job.kill()
    job.wait()
    cold.sim.faults.clear()


def test_continue_what_was_agreed_to(cold):
    cold.add("a", files=1)
    note_and_kill(cold, "a")
    cold.firn("thaw", "--continue", stdin=b"")
    assert cold.asked() == cold.needed(cold.src / "a")


def test_continue_budget(cold):
    """One for all jobs."""
    for name in "ab":
        cold.add(name, files=1)
    cost = float(cold.quote("latest", cold.src / "a")["tiers"]["standard"]["sum"])
    for name in "ab":
        note_and_kill(cold, name)
    accepted = lambda: sum(counts.get(202, counts.get("202", 0))
                           for counts in cold.restores().values())
    r = cold.firn("thaw", "--continue", "--budget", f"{cost * 1.2:.9f}", status=1)
    assert "budget" in r.err and accepted() == 1
    cold.firn("thaw", "--continue")
    assert accepted() == 2


def test_nobody_agreed(cold):
    """Who waits for what others asked for pays for nothing of it."""
    for name in "ab":
        cold.add(name, files=1)
    cold.thaw("latest")
    a, b = (cold.needed(cold.src / name).pop() for name in "ab")
    other = cold.firn.client()
    cold.sim.stats.reset()
    job = other.start("thaw", "--wait", "--poll", "1", "latest")
    # Wherever it is in its looks, it saw both on their way: it waits.
    lists = lambda: sum(r.operation == "ListObjectsV2" for r in cold.sim.stats.requests)
    wait_for(lambda: lists() > 12 or job.poll() is not None, "looks", 60)
    cold.ready(a)
    cold.expire(a)
    cold.ready(b)
    stdout, stderr = job.communicate()
    assert job.returncode == 1 and b"agreed" in stderr, stderr
    assert b"can be read now" not in stdout
    assert cold.asked() == set()


def test_outage(cold):
    """A look that fails is tried again."""
    cold.add("a", files=1)
    job = cold.firn.start("--timeout", "2", "thaw", "--wait", "--yes", "--poll", "1", "latest")
    wait_for(cold.asked, "the request")
    fault = {"kind": "503-slowdown", "verb": "ListObjectsV2"}
    cold.sim.faults.add(**fault)
    cold.sim.faults.add(**{**fault, "verb": "HeadObject"})
    log = []
    wait_for(lambda: log.append(job.stderr.readline()) or b"trying again" in log[-1]
             or log[-1] == b"", "the warning")
    assert b"trying again" in log[-1], log
    cold.sim.faults.clear()
    cold.all_ready()
    assert job.wait() == 0, job.communicate()
    assert cold.accepted_once()
