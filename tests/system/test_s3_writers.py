# SPDX-License-Identifier: Apache-2.0
"""Many hosts write to one bucket at once, and some are killed.

What was reported as made is whole, and what they have in common is stored once.
"""
import os
import random
import signal
import threading

import pytest

from chaos import MIB, chaos_repository, seeded
from firn_tool import assert_same, wait_for

WRITERS = 8
SOAK = bool(os.environ.get("FIRN_SOAK"))


def data_stored(firn):
    """Bytes of data packs in the bucket."""
    bucket = firn.sim.bucket("bucket")
    return sum(bucket.current(key).size for key in bucket.keys() if "/data/" in key)


class Host:
    """A host of its own: local state, a source that is partly everybody's."""

    def __init__(self, firn, work, n, prefix=()):
        self.name, self.prefix = f"host{n}", list(prefix)
        self.firn = firn.client(f"cache-{self.name}")
        self.source = work / self.name
        self.made = None

    def run(self, rand=None):
        """Back up; with `rand` killed at some moment, maybe."""
        args = ["backup", "--host", self.name, "--series", "s", "--json", "--level", "1",
                self.source]
        process = self.firn.start(*args, prefix=self.prefix)
        if rand and rand.random() < 0.6:
            requests = len(self.firn.sim.requests) + rand.randrange(200)
            wait_for(lambda: process.poll() is not None or
                     len(self.firn.sim.requests) > requests, "some requests")
            process.send_signal(signal.SIGKILL)
        out, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), err
        if process.returncode == 0:
            self.made = out
        return process.returncode == 0


def at_once(jobs):
    """Run functions in threads; the first exception is raised."""
    failures = []

    def guarded(job):
        try:
            job()
        except BaseException as failure:	# pylint: disable=broad-except
            failures.append(failure)

    threads = [threading.Thread(target=guarded, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def until_done(host, seed):
    rand = random.Random(seed)
    for _ in range(2):
        host.run(rand)
    assert host.run()


def prepare(firn, work, rand, shared_size, own_size, prefixes=None):
    """Hosts whose sources have one part in common; bytes that are unlike."""
    common = rand.randbytes(shared_size)
    hosts = []
    for n in range(WRITERS):
        host = Host(firn, work, n, prefixes[n] if prefixes else ())
        host.source.mkdir()
        (host.source / "own").write_bytes(rand.randbytes(own_size))
        (host.source / "shared").write_bytes(common)
        hosts.append(host)
    return hosts, shared_size + WRITERS * own_size


def assert_whole(firn, work, hosts):
    """Every generation that was reported is there, checks and restores."""
    problems, summary = firn.client("cache-check").check("--read-data")
    assert problems == []
    assert summary["generations"] >= WRITERS
    for host in hosts:
        firn("restore", f"{host.name}/s:{host.source}", work / "out" / host.name)
        assert_same(host.source, work / "out" / host.name)


@pytest.mark.parametrize("rate", [0, 0.1])
def test_writers(work, rate):
    """One host has stored what is common; then all at once, some killed."""
    rand = seeded()
    with chaos_repository(work, pack_size="64K") as firn:
        hosts, unique = prepare(firn, work, rand, 8 * MIB, 2 * MIB)
        assert hosts[0].run()
        firn.sim.faults.storm(rate, seconds=0.3)
        at_once([lambda h=host, s=rand.random(): until_done(h, s) for host in hosts])
        firn.sim.faults.clear()
        assert_whole(firn, work, hosts)
        stored = data_stored(firn)
        print(f"{stored} bytes stored of {unique} unlike: {stored / unique - 1:.2%} more")
        assert unique <= stored < 1.05 * unique
