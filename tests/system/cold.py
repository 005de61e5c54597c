# SPDX-License-Identifier: Apache-2.0
"""A repository whose data packs lie in an archive of the simulator."""
import os
import pathlib

import pytest

PRICES = pathlib.Path(__file__).resolve().parents[2] / "data" / "prices.conf"
DAY = 86400
EVERY = os.environ.get("FIRN_STORES") == "every"	# ./setup check-all
# Of a test that takes `cold`: in the simulator, and with the bytes in Ceph RGW;
# `everywhere` with check-all alone.
both = pytest.mark.parametrize("cold", ["sim", "gated"], indirect=True)
everywhere = pytest.mark.parametrize("cold", ["sim", "gated"] if EVERY else ["sim"],
                                     indirect=True)


class Cold:
    """Backs up one directory a time, so that it is known which pack has what."""

    def __init__(self, firn, tier="DEEP_ARCHIVE"):
        self.firn, self.tier = firn, tier
        self.sim = firn.sim
        self.src = firn.work / "src"
        self.packs = {}			# block id: the packs that came with it

    def restores(self):
        """How often each pack was asked for, whatever the answer."""
        found = self.sim.stats.restores_of("bucket")
        return {key.removeprefix("some/prefix/"): counts for key, counts in found.items()}

    def asked(self):
        return set(self.restores())

    def accepted_once(self):
        """Every pack that was asked for was asked for once, and accepted."""
        return all({str(k): n for k, n in counts.items()} == {"202": 1}
                   for counts in self.restores().values())

    def add(self, name, files=3, size=100_000):
        """A new directory of the source, and a generation that has it."""
        path = self.src / name
        path.mkdir(parents=True)
        for i in range(files):
            (path / f"file{i}").write_bytes(os.urandom(size))
        return self.backup()

    def backup(self):
        before = set(self.firn.objects.names("data/"))
        summary = self.firn.backup("--tier", self.tier, "--series", "s", self.src)
        new = set(self.firn.objects.names("data/")) - before
        for line in self.firn.json("ls", "-R", "--blocks", "latest"):
            for block in line.get("blocks", []):
                if "id" in block:
                    self.packs.setdefault(block["id"], new)
        return summary

    def needed(self, *paths, generation="latest"):
        """By the lists of blocks, the packs that files at these paths lie in."""
        found = set()
        for path in paths:
            for line in self.firn.json("ls", "-R", "--blocks", f"{generation}:{path}"):
                for block in line.get("blocks", []):
                    packs = self.packs[block["id"]] if "id" in block else set()
                    assert "id" not in block or len(packs) == 1, "a backup made two packs"
                    found |= packs
        return found

    def all_ready(self):
        return self.sim.make_ready("bucket", prefix="some/prefix/data/")

    def ready(self, *names):
        return self.sim.make_ready("bucket", keys=[f"some/prefix/{n}" for n in names])

    def expire(self, *names):
        return self.sim.expire("bucket", keys=[f"some/prefix/{n}" for n in names])

    def refused_gets(self):
        return sum(r.verb == "GET" and r.status == 403 for r in self.sim.stats.requests)

    def quote(self, *args, **kw):
        return self.firn.json("thaw", "--dry-run", *args, **kw)[0]

    def thaw(self, *args, **kw):
        """Thaw; (quote, summary)."""
        lines = self.firn.json("thaw", "--yes", *args, **kw)
        return lines[0], lines[-1]
