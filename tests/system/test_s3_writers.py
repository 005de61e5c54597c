# SPDX-License-Identifier: Apache-2.0
"""Many hosts write to one bucket at once, and some are killed.

What was reported as made is whole, and what they have in common is stored once.
"""
import os
import random
import signal
import subprocess
import threading

import pytest

from chaos import MIB, chaos_repository, seeded
from firn_tool import assert_same, wait_for

WRITERS = 8
SOAK = bool(os.environ.get("FIRN_SOAK"))


class Host:
    """A host of its own: local state, a source that is partly everybody's."""

    def __init__(self, firn, work, n, prefix=()):
        self.name, self.prefix = f"host{n}", list(prefix)
        self.firn = firn.client(f"cache-{self.name}")
        self.source = work / self.name
        self.killed = 0

    def start(self):
        return self.firn.start("backup", "--host", self.name, "--series", "s", "--json",
                               "--level", "1", self.source, prefix=self.prefix)

    def run(self, rand=None, latest=200):
        """Back up; with `rand` killed at some moment, maybe; latest=1: for sure."""
        process = self.start()
        if rand and (rand.random() < 0.6 or latest == 1):
            requests = len(self.firn.sim.requests) + rand.randrange(latest)
            wait_for(lambda: process.poll() is not None or
                     len(self.firn.sim.requests) > requests, "some requests")
            process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), err
        self.killed += process.returncode != 0
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


def until_done(host, seed, rounds):
    rand = random.Random(seed)
    for n in range(rounds):
        # One is killed at once, so that there is one, whatever the dice say.
        host.run(rand, 1 if n == 0 and host.name == "host1" else 200)
    assert host.run()


def prepare(firn, work, rand, shared_size, own_size, prefixes):
    """Hosts whose sources have one part in common; bytes that are unlike."""
    common = rand.randbytes(shared_size)
    hosts = []
    for n in range(WRITERS):
        host = Host(firn, work, n, prefixes[n])
        host.source.mkdir()
        (host.source / "own").write_bytes(rand.randbytes(own_size))
        (host.source / "shared").write_bytes(common)
        hosts.append(host)
    return hosts, shared_size + WRITERS * own_size


def assert_whole(firn, work, hosts, unique):
    """Every generation that was reported is there, checks and restores; what is
    stored more than once stays below a twentieth."""
    problems, summary = firn.client("cache-check").check("--read-data")
    assert problems == []
    assert summary["generations"] >= WRITERS
    for host in hosts:
        firn("restore", f"{host.name}/s:{host.source}", work / "out" / host.name)
        assert_same(host.source, work / "out" / host.name)
    twice = summary["bytes_stored_twice"]
    print(f"{twice} bytes stored more than once, of {unique}: {twice / unique:.2%}")
    assert twice < unique / 20


@pytest.fixture
def network(request):
    """Eight network namespaces on a bridge: the bridge's address, and how to run
    a command in each.  Without FIRN_SOAK all run here."""
    if not SOAK:
        yield "127.0.0.1", [()] * WRITERS
        return
    request.getfixturevalue("root")
    tag = f"firn{os.getpid() % 100000}"
    net = f"10.{rand_byte()}.{rand_byte()}"
    names = [f"{tag}n{n}" for n in range(WRITERS)]
    try:
        ip("link", "add", tag, "type", "bridge")
        ip("addr", "add", f"{net}.1/24", "dev", tag)
        ip("link", "set", tag, "up")
        for n, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", f"{name}b", "type", "veth", "peer", "name", "eth0",
               "netns", name)
            ip("link", "set", f"{name}b", "master", tag, "up")
            ip("-n", name, "addr", "add", f"{net}.{n + 2}/24", "dev", "eth0")
            ip("-n", name, "link", "set", "eth0", "up")
        yield f"{net}.1", [("ip", "netns", "exec", name) for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", tag], check=False, capture_output=True)


def rand_byte():
    return random.randrange(1, 255)


def ip(*args):
    subprocess.run(["ip", *args], check=True, capture_output=True)


def test_writers_in_a_storm(work, network):
    """One host has stored what is common; then all at once, some killed."""
    rand = seeded()
    address, prefixes = network
    size, rounds = (16 * MIB, 4) if SOAK else (4 * MIB, 1)
    with chaos_repository(work, pack_size="256K", host=address) as firn:
        hosts, unique = prepare(firn, work, rand, 2 * size, size, prefixes)
        assert hosts[0].run()
        firn.sim.faults.storm(0.1, seconds=0.3)
        at_once([lambda h=host, s=rand.random(): until_done(h, s, rounds)
                 for host in hosts])
        firn.sim.faults.clear()
        killed = sum(host.killed for host in hosts)
        print(killed, "killed")
        assert killed > 0
        assert_whole(firn, work, hosts if SOAK else rand.sample(hosts, 3), unique)


def contents(firn):
    """Bytes of all data packs."""
    bucket = firn.sim.bucket("bucket")
    with bucket.lock:
        return sum(version.size for key, versions in bucket.versions.items()
                   if "/data/" in key for version in versions)


@pytest.mark.skipif(not SOAK, reason="takes a minute: FIRN_SOAK=1")
def test_a_writer_that_began_earlier(work, network):
    """What one stores while others run already is not stored again by them, if they
    come to it some seconds later.  Without looking they would store as much again
    as a fifth of all."""
    rand = seeded()
    address, prefixes = network
    with chaos_repository(work, pack_size="256K", host=address,
                          bandwidth=8 * MIB) as firn:
        hosts, unique = prepare(firn, work, rand, 16 * MIB, 44 * MIB, prefixes)
        (hosts[0].source / "own").unlink()
        unique -= 44 * MIB
        first = hosts[0].start()
        wait_for(lambda: contents(firn) > 4 * MIB, "a quarter of what is common")
        # It halts until the others, whose own files come first, are well under way.
        first.send_signal(signal.SIGSTOP)
        begun = contents(firn)

        def go_on():
            wait_for(lambda: contents(firn) > begun + 80 * MIB, "a quarter of what is theirs")
            first.send_signal(signal.SIGCONT)
            _, err = first.communicate()
            assert first.returncode == 0, err
        assert begun < 8 * MIB
        at_once([go_on, *(host.run for host in hosts[1:])])
        firn.sim.pace.bandwidth = 0
        assert_whole(firn, work, hosts[:2], unique)
