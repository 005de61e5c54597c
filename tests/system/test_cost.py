# SPDX-License-Identifier: Apache-2.0
"""Requests are counted as the store has them, and reckoned by a table of prices."""
import os
import re
import shutil
from decimal import Decimal

import pytest

from firn_tool import BUILD, wait_for

TABLE = """[table]
name = Test prices
date = 2026-01-02
currency = XTS
egress = 1.00
[STANDARD]
put = 5
get = 0.4
[DEEP_ARCHIVE]
put = 50
get = 0.4
"""
VERBS = {"GET": "get", "PUT": "put", "HEAD": "stat", "DELETE": "del"}


@pytest.fixture
def prices(work):
    path = work / "prices"
    path.write_text(TABLE)
    return str(path)


def seen_by(sim):
    """Requests by verb, as the simulator has counted them."""
    seen = dict.fromkeys(["get", "put", "stat", "list", "del", "thaw", "copy"], 0)
    for r in sim.sim.stats.requests:
        seen["list" if r.verb == "GET" and not r.key else VERBS[r.verb]] += 1
    return seen


def cost_of(store):
    """Requests, by TABLE; a billionth is what rounding up may add for each verb."""
    n = store["requests"]
    return Decimal(n["put"] + n["list"]) * 5 / 1000 + \
        Decimal(n["get"] + n["stat"]) * Decimal("0.4") / 1000


def source(work):
    src = work / "src"
    src.mkdir()
    (src / "file").write_bytes(os.urandom(3_000_000))
    return src


def test_summary(sim, work, prices):
    """What --json says is what the store was asked."""
    src = source(work)
    for args in (["backup", "--series", "s", src], ["check", "--read-data"],
                 ["restore", "latest", work / "out"]):
        sim.sim.stats.reset()
        summary = sim.json("--prices", prices, *args)[-1]
        store = summary["store"]
        assert store["requests"] == seen_by(sim), args
        assert store["retries"] == 0 and not any(store["errors"].values()), store
        assert store["bytes_out"] > 3_000_000 or args[0] != "backup"
        assert store["bytes_in"] > 3_000_000 or args[0] == "backup"
        cost = store["cost"]
        assert cost["currency"] == "XTS"
        assert cost["prices"] == {"name": "Test prices", "date": "2026-01-02"}
        assert abs(Decimal(cost["requests"]) - cost_of(store)) < Decimal("1e-8")
        assert abs(Decimal(cost["transfer"]) - Decimal(store["bytes_in"]) / 2**30) < \
            Decimal("1e-8")
        assert Decimal(cost["total"]) == Decimal(cost["requests"]) + \
            Decimal(cost["transfer"])


def test_tier(sim, work, prices):
    """What is put into an archive class is reckoned at its price."""
    store = sim.json("--prices", prices, "backup", "--tier", "DEEP_ARCHIVE", "--series", "s",
                     source(work))[-1]["store"]
    want = cost_of(store) + Decimal(store["requests"]["put"]) * 45 / 1000
    assert abs(Decimal(store["cost"]["requests"]) - want) < Decimal("1e-8")


def test_retries_are_counted(sim, work):
    src = source(work)
    sim.sim.faults.add("503-slowdown", verb="PUT", times=2)
    sim.sim.stats.reset()
    store = sim.backup("--series", "s", src)["store"]
    assert store["retries"] == 2 and store["errors"]["put"] == 2
    assert store["requests"] == seen_by(sim)
    assert "cost" not in store      # nobody knows what this store asks for


@pytest.mark.parametrize("how", ["option", "variable", "profile"])
def test_verbose(sim, work, prices, how):
    """-v ends with it on stderr, for every command; each way to name prices."""
    env, args = {}, []
    if how == "option":
        args = ["--prices", prices]
    elif how == "variable":
        env = {"FIRN_PRICES": prices}
    else:
        (work / "config/firn").mkdir(parents=True)
        (work / "config/firn/p.conf").write_text(f"prices = {prices}\n")
        env = {"XDG_CONFIG_HOME": str(work / "config")}
        args = ["-p", "p"]
    r = sim(*args, "-v", "generations", env=env)
    assert re.search(r"store: \d+ get, 0 put, \d+ stat, \d+ list, 0 del; 0 errors, "
                     r"0 retries; .* in, 0 B out\n", r.err), r.err
    assert re.search(r"estimated cost: 0\.\d+ XTS .* Test prices, 2026-01-02\n", r.err)
    assert "estimated cost" not in sim("-v", "generations").err


def test_local_costs_nothing(local, work, prices):
    src = source(work)
    summary = local.json("--prices", prices, "backup", src, "--series", "s")[-1]
    assert summary["store"]["requests"]["put"] > 0
    assert "cost" not in summary["store"]
    err = local("--prices", prices, "-v", "generations").err
    assert "store: " in err and "cost" not in err
    init = local.json("-r", work / "other", "init", "--kdf-memory", "1M")[0]
    assert init["store"]["requests"]["put"] == 2


@pytest.mark.parametrize("text, says", [
    ("", "[table]"), (TABLE + "putt = 1\n", "line 12: no price is called 'putt'"),
    (TABLE + "[X]\nput = 1e5\n", "line 13: "), (None, "no such file")])
def test_wrong_table(sim, work, text, says):
    """It is said before anything is done."""
    path = work / "wrong"
    if text is not None:
        path.write_text(text)
    r = sim("--prices", path, "backup", "/etc", status=2)
    assert str(path) in r.err and says in r.err
    assert sim.generations() == []


@pytest.mark.usefixtures("fuse")
def test_mount(sim, work, prices):
    """.firn/stats says the same of a mount, and goes on counting."""
    sim.backup("--series", "s", source(work))

    def stats(mnt):
        lines = (mnt / ".firn/stats").read_text().splitlines()
        return dict(line.rstrip().split(None, 1) for line in lines)

    with sim.client().mount(options=f"prices={prices}") as mnt:
        first = stats(mnt)
        assert first["prices"] == "Test prices, 2026-01-02"
        assert int(first["store-get"]) > 0 and first["store-bytes-out"] == "0"
        shutil.copytree(mnt / "latest/", work / "copy")
        later = wait_for(lambda: stats(mnt) if stats(mnt)["store-get"] != first["store-get"]
                         else None, "the counts to grow")
        amount, currency = later["cost-requests"].split()
        assert currency == "XTS" and Decimal(amount) > Decimal(first["cost-requests"].split()[0])
        assert Decimal(later["cost-transfer"].split()[0]) > \
            Decimal(3_000_000) / 2**30
    with sim.mount() as mnt:
        assert not any(name.startswith(("cost", "prices")) for name in stats(mnt))


def test_built_in():
    """The table in the program is the one that is installed."""
    top = BUILD.parent if (BUILD.parent / "data").is_dir() else None
    text = (BUILD / "core/store/price_builtin.c").read_text(encoding="utf-8")
    assert "name = AWS S3 us-east-1" in text
    if top is not None:
        kept = [x for x in (top / "data/prices.conf").read_text().splitlines()
                if x and not x.startswith("#")]
        assert re.findall(r'^"(.*)\\n"$', text, re.M) == kept
