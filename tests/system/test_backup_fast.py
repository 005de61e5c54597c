# SPDX-License-Identifier: Apache-2.0
"""What makes a backup fast is in use, not only there."""
import ctypes
import os
import pathlib
import random
import select
import threading

from firn_tool import settle, wait_for

MIB = 1 << 20
IN_CLOSE_NOWRITE = 0x10		# of inotify(7)


class Hook:
    """Asked before the simulator answers a request that `wanted` knows."""

    def __init__(self, sim, wanted):
        self.sim, self.wanted, self.pick = sim, wanted, sim.faults.pick
        sim.faults.pick = self

    def __call__(self, request):
        if self.wanted(request):
            self.asked(request)
        return self.pick(request)


class Hold(Hook):
    """Lets none of them pass before `go` is set."""

    def __init__(self, sim, wanted):
        self.go = threading.Event()
        super().__init__(sim, wanted)

    def asked(self, request):
        while not self.go.wait(1) and not self.sim.stopping.is_set():
            pass


class Slow(Hook):
    """Each takes so long; how many were there at once at most."""

    def __init__(self, sim, wanted, seconds):
        self.seconds, self.lock = seconds, threading.Lock()
        self.now = self.most = self.all = 0
        super().__init__(sim, wanted)

    def asked(self, request):
        with self.lock:
            self.all += 1
            self.now += 1
            self.most = max(self.most, self.now)
        self.sim.stopping.wait(self.seconds)
        with self.lock:
            self.now -= 1


class Closings:
    """Tells when somebody who has read a directory closes it."""

    def __init__(self, path):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(os.O_CLOEXEC)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, os.fsencode(path),
                                                 IN_CLOSE_NOWRITE) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        os.close(self.fd)

    def seen(self):
        return bool(select.select([self.fd], [], [], 0)[0])


def threads(pid):
    found = []
    for path in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            found.append(path.read_text().strip())
        except OSError:
            pass		# it has ended
    return found


def test_the_walk_takes_over_what_was_scanned(sim, work):
    """A file that changes behind the scanner, while the store makes the run wait
    before its walk, is as it was for this run, and is read by the next one."""
    src = work / "src"
    src.mkdir()
    (src / "file").write_text("one\n")
    settle()
    sim.backup("--series", "s", src)
    hold = Hold(sim.sim, lambda r: r.query.get("prefix", "").endswith("/gen/"))
    with Closings(src) as closings:
        run = sim.start("backup", "--series", "s", src)
        try:
            wait_for(closings.seen, "the scanner to leave the directory")
            assert "firn-scan" in threads(run.pid)
            (src / "file").write_text("two and more\n")
        finally:
            hold.go.set()
        _, err = run.communicate()
    assert run.returncode == 0, err
    assert sim("cat", f"latest:{src}/file").out == "one\n"
    sim.backup("--series", "s", src)
    assert sim("cat", f"latest:{src}/file").out == "two and more\n"


def test_uploads_become_more(sim, work):
    """Two at first; where each has to wait for its answer, others are tried."""
    with open(work / "large", "wb") as f:
        f.write(random.Random(71).randbytes(40 * MIB))
    sim.url = sim.env["FIRN_REPOSITORY"] = "s3://bucket/small-packs"
    sim("init", "--kdf-memory", "1M", "--pack-size", "1M")
    slow = Slow(sim.sim, lambda r: r.method == "PUT" and "/data/" in (r.key or ""), 0.4)
    sim.backup("--series", "s", work / "large")
    assert slow.all > 20
    assert slow.most >= 3
