# SPDX-License-Identifier: Apache-2.0
"""Runs rows: each of a row's entries once, then all of them again, so that what
disturbs the machine disturbs all alike.

Repositories are made once for a program, an input and a store, kept as long as a
later row wants them, and removed then."""
import contextlib
import dataclasses
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import time

from . import measure
from .inputs import NoRoom
from .peers import PEERS
from .target import Target

READ_AT = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for at in open(sys.argv[2]):
    assert len(os.pread(fd, 4096, int(at))) == 4096
"""
COMMANDS = {
    "find": lambda b, tree, to: ["find", tree, "-size", "+1"],
    "copy": lambda b, tree, to: ["cp", "-r", tree, to],
    "copy-all": lambda b, tree, to: ["cp", "-a", tree, to],
    "read": lambda b, tree, to: ["dd", f"if={tree}", "of=/dev/null", "bs=1M", "status=none"],
    "read-all": lambda b, tree, to: ["sh", "-c", f"find '{tree}' -type f -print0 | "
                                     "xargs -0 cat"],
    "read-at": lambda b, tree, to: [sys.executable, "-c", READ_AT, tree, b.places_file]}
COPIES = ("copy", "copy-all")
MIB = 1 << 20
READS = 400			# of the row that reads here and there
FAILURES = (measure.CommandFailed, RuntimeError, OSError, subprocess.SubprocessError)


@dataclasses.dataclass
class Result:
    label: str
    samples: list = dataclasses.field(default_factory=list)
    mount_seconds: list = dataclasses.field(default_factory=list)
    absent: str = ""
    skipped: str = ""
    failed: str = ""

    @property
    def without(self):
        """Why there is nothing of it."""
        return self.absent or self.skipped or self.failed

    def median(self, metric):
        if metric == "anon MiB":
            return max((s.anon for s in self.samples), default=0) / 1024
        return statistics.median(getattr(s, metric) for s in self.samples)


class Bench:
    """All that a run has: `build` of firn, scratch `dir`, inputs, stores."""

    def __init__(self, build, directory, inputs, stores, reps, say=print):
        self.build, self.dir = pathlib.Path(build).resolve(), pathlib.Path(directory)
        self.inputs, self.stores, self.reps, self.say = inputs, stores, reps, say
        self.repos = {}		# (peer, input, store kind): Peer
        self.last_number = 0
        self.places_file = self.dir / "places"
        self.target = Target(self.dir, say)
        self.edits = 0

    def number(self):
        self.last_number += 1
        return self.last_number

    # Repositories.

    def check_room(self, takes, kind):
        room = self.stores.room(kind)
        if takes > room:
            raise NoRoom(f"it puts {takes / MIB:,.0f} MiB, and the store has room for "
                         f"{room / MIB:,.0f} MiB")

    @contextlib.contextmanager
    def new_repo(self, peer, kind, source):
        """An empty one, where a backup of the source has room.  It is gone when what
        is done with it here fails."""
        self.check_room(PEERS[peer].takes(source), kind)
        p = PEERS[peer](self, self.stores.place(kind, peer))
        try:
            p.init()
            yield p
        except measure.TimedOut:
            self.abandon(p, kind)
            raise
        except BaseException:
            p.close()
            raise

    def abandon(self, p, kind):
        """A full store may let all wait for ever, also who deletes: it is asked for
        nothing more, and the next one is new."""
        if kind != "local":
            lost = [k for k in self.repos if k[0] == "curl" or k[2] != "local"]
            for q in [p] + [self.repos.pop(k) for k in lost if k[0] != "curl"]:
                q.place.remove = lambda: None
                q.close()
            self.forget_curl(remove=False)
            self.stores.stop()
        else:
            p.close()

    def repo(self, peer, row, source):
        """With a backup of the source in it; far ones are filled nearby."""
        key = peer, row.input, row.store
        if key not in self.repos:
            if row.store == "far":
                near = self.repo(peer, dataclasses.replace(row, store="rgw"), source)
                self.repos[key] = PEERS[peer](
                    self, self.stores.view("far", near.place.s3.bucket))
                self.repos[key].place.remove = lambda: None	# it is the near one's
            else:
                with self.new_repo(peer, row.store, source) as p:
                    p.do(*p.backup(source))
                self.repos[key] = p
        return self.repos[key]

    def forget_repos(self, rows=()):
        """Those that none of these rows uses; the far ones first."""
        wanted = {(e.peer, r.input, s) for r in rows for e in r.entries
                  for s in ((r.store, "rgw") if r.store == "far" else (r.store,))}
        for key in sorted(self.repos, key=lambda k: k[2] != "far"):
            if key not in wanted:
                self.repos.pop(key).close()

    # One entry of a row, once.

    def act_first(self, row, entry, source, last):
        key = entry.peer, row.input, row.store
        with self.new_repo(entry.peer, row.store, source) as p:
            measure.drop_caches()
            s = self.measured(p, *p.backup(source))
            s.stored = p.place.size()
        if last and key not in self.repos:
            self.repos[key] = p
        else:
            p.close()
        return s, None

    def act_again(self, row, entry, source, last):
        p = self.repo(entry.peer, row, source)
        if row.first:
            p.do(*p.backup(source))
        if row.drop:
            measure.drop_caches()
        return self.measured(p, *p.backup(source)), None

    act_edited = act_again

    def act_restore(self, row, entry, source, last):
        p = self.repo(entry.peer, row, source)
        to = self.target.fresh()
        to.mkdir()
        p.forget_local()
        measure.drop_caches()
        return self.measured(p, *p.restore(to)), None

    def act_mount(self, row, entry, source, last):
        p = self.repo(entry.peer, row, source)
        if row.chill:
            p.forget_local()
        begin = p.mount(source)
        try:
            tree = os.path.join(p.tree(source), row.sub) if row.sub else p.tree(source)
            argv = COMMANDS[row.command](self, tree, self.target.path)
            if row.first:
                p.do(argv)
            self.make_target(row)
            if row.drop:
                measure.drop_caches()
            return self.measured(p, argv), begin
        finally:
            p.unmount()

    def make_target(self, row):
        if row.command in COPIES:
            self.target.fresh()

    def act_plain(self, row, entry, source, last):
        argv = COMMANDS[row.command](self, str(source / row.sub), self.target.path)
        if row.first:
            measure.run(argv)
        self.make_target(row)
        if row.drop:
            measure.drop_caches()
        return measure.run(argv), None

    def act_disk(self, row, entry, source, last):
        """The input read past the kernel's memory, in order."""
        return measure.run(["dd", f"if={source / row.sub}", "of=/dev/null", "bs=1M",
                            "iflag=direct", "status=none"]), None

    def act_curl(self, row, entry, source, last):
        """The input as one object that anyone may get."""
        place = self.stores.view(row.store, self.curl_bucket(source / row.sub))
        size = (source / row.sub).stat().st_size
        parts = [(i * size // 4, (i + 1) * size // 4 - 1) for i in range(4)]
        gets = "".join(f"curl -sf -r {a}-{b} -o /dev/null {place.s3.url}/"
                       f"{place.s3.bucket}/object & " for a, b in parts)
        return measure.run(["sh", "-ec", gets + "wait"], place=place), None

    def curl_bucket(self, path):
        if not self.stores.with_rgw:
            raise RuntimeError("only with RGW")
        key = "curl", path
        if key not in self.repos:
            self.check_room(path.stat().st_size, "rgw")
            place = self.stores.place("rgw", "curl")
            with self.stores.client() as c:
                a = c.request("PUT", place.s3.bucket, "object", body=path.read_bytes(),
                              headers={"x-amz-acl": "public-read"})
            if a.status != 200:
                raise RuntimeError(f"cannot put the object for curl: {a}")
            self.repos[key] = place
        return self.repos[key].s3.bucket

    def measured(self, p, argv, cwd=None):
        return measure.run(argv, env=p.env, cwd=cwd, log=p.log, place=p.place,
                           daemon=p.daemon.pid if p.daemon else None)

    # Rows.

    def run(self, rows):
        """Yields (row, results) as they come."""
        try:
            for i, row in enumerate(rows):
                yield row, self.run_row(row)
                self.forget_curl()
                self.forget_repos(rows[i + 1:])
        finally:
            self.forget_curl()
            self.forget_repos()

    def forget_curl(self, remove=True):
        for key in [k for k in self.repos if k[0] == "curl"]:
            place = self.repos.pop(key)
            if remove:
                place.remove()

    def run_row(self, row):
        results = [Result(e.label, absent=self.absent(e)) for e in row.entries]
        try:
            source = self.source(row)
        except NoRoom as e:
            for r in results:
                r.failed = str(e)
            return results
        for rep in range(self.reps):
            if row.id.startswith("edited"):
                self.edit(source, row, results)
            for entry, result in zip(row.entries, results):
                if not result.without:
                    self.run_once(row, entry, result, source, rep)
        return results

    @contextlib.contextmanager
    def noted(self, result):
        """What cannot be done becomes a word in its line of the table."""
        try:
            yield
        except NoRoom as e:
            result.skipped = str(e)
        except FAILURES as e:
            result.failed = " ".join(str(e).split())

    def run_once(self, row, entry, result, source, rep):
        begin = time.monotonic()
        try:
            with self.noted(result):
                sample, mount = getattr(self, "act_" + entry.act)(
                    row, entry, source, rep == self.reps - 1)
                result.samples.append(sample)
                if mount is not None:
                    result.mount_seconds.append(mount)
        finally:
            self.target.remove()
        self.say(f"{row.id}: {entry.label}: " + (
            result.without or f"{sample.seconds:.2f} s") +
            f" ({time.monotonic() - begin:.0f} s with what it takes)")

    def absent(self, entry):
        if entry.act == "curl" and not shutil.which("curl"):
            return "curl"
        return ", ".join(PEERS[entry.peer].missing(self)) if entry.peer else ""

    def source(self, row):
        if row.input == "source":	# the part that others can hold as objects
            return self.inputs.get("linux") / "drivers/net"
        source = self.inputs.get(row.input)
        if row.command == "read-at":
            self.choose_places(source / row.sub)
        return source

    def choose_places(self, path):
        """Offsets where the file has data, always the same."""
        r, places = random.Random(66), []
        with open(path, "rb") as f:
            size = f.seek(0, os.SEEK_END)
            while len(places) < READS:
                at = os.lseek(f.fileno(), r.randrange(size * 9 // 10), os.SEEK_DATA)
                places.append(min(at, size - 4096) // 4096 * 4096)
        self.places_file.write_text("".join(f"{p}\n" for p in places), encoding="ascii")

    def edit(self, source, row, results):
        """One file of fifty gets a line; the input is made anew next time."""
        for entry, result in zip(row.entries, results):
            if not result.without:
                with self.noted(result):
                    self.repo(entry.peer, row, source)
        source.with_name(source.name + ".complete").unlink(missing_ok=True)
        self.edits += 1
        for p in sorted(p for p in source.rglob("*.[ch]") if p.is_file())[self.edits::50]:
            with open(p, "a", encoding="ascii") as f:
                f.write("/* changed */\n")
