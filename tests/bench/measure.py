# SPDX-License-Identifier: Apache-2.0
"""Measuring one command, and the daemon behind a mount while it runs.

Time is that of the clock.  CPU is user and system time of the command and all
that it waited for, and what the daemon used meanwhile.  Memory is sampled every
20 ms over the command's process tree, or the daemon's where there is one: `anon`
is what is theirs alone (RssAnon and RssShmem), `resident` has mapped files in
it.  Requests and bytes come from the line in front of the store."""
import dataclasses
import os
import pathlib
import select
import signal
import subprocess
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")
PAUSE = 0.02


@dataclasses.dataclass
class Sample:
    seconds: float = 0.0
    cpu: float = 0.0
    anon: int = 0		# KiB
    resident: int = 0
    requests: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    stored: int = 0		# bytes in the store afterwards, where it was asked for


class CommandFailed(Exception):
    pass


class TimedOut(CommandFailed):
    pass


def children(pid, halt=False):
    """A process and all below it; with `halt` each is stopped before one looks below
    it, so that there are no others later."""
    found, todo = [], [pid]
    while todo:
        pid = todo.pop()
        found.append(pid)
        try:
            if halt:
                os.kill(pid, signal.SIGSTOP)
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as f:
                    todo += map(int, f.read().split())
        except OSError:
            pass
    return found


def resident(pid):
    """(anonymous and shared, all) KiB of a process; zeros when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as f:
            v = dict(line.split(":", 1) for line in f)
    except OSError:
        return 0, 0
    kib = {k: int(v[k].split()[0]) for k in ("RssAnon", "RssShmem", "VmRSS") if k in v}
    return kib.get("RssAnon", 0) + kib.get("RssShmem", 0), kib.get("VmRSS", 0)


def cpu_of(pid):
    """Seconds of user and system time of a process and of what it waited for."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0.0
    return sum(map(int, text.rsplit(")", 1)[1].split()[11:15])) / TICK


def tree_cpu(pid):
    return sum(cpu_of(p) for p in children(pid))


class Sampler(threading.Thread):
    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.anon, self.all = pid, 0, 0
        self.ending = threading.Event()

    def run(self):
        while not self.ending.wait(PAUSE):
            self.look()

    def look(self):
        pairs = [resident(p) for p in children(self.pid)]
        self.anon = max(self.anon, sum(a for a, _ in pairs))
        self.all = max(self.all, sum(b for _, b in pairs))

    def end(self):
        self.ending.set()
        if self.ident:		# it was started
            self.join()


def drop_caches():
    """The kernel's caches of pages and names, of all file systems."""
    os.sync()
    pathlib.Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="ascii")


def kill_tree(pid):
    for each in children(pid, halt=True):
        try:
            os.kill(each, signal.SIGKILL)
        except ProcessLookupError:
            pass


def kill_after(p, limit):
    """Wait until it has ended, or so many seconds and end it; whether it was."""
    fd = os.pidfd_open(p.pid)
    try:
        if select.select([fd], [], [], limit)[0]:
            return False
    finally:
        os.close(fd)
    kill_tree(p.pid)
    return True


def run(argv, *, env=None, cwd=None, daemon=None, place=None, log=None, ok=(0,), limit=None):
    """Run to the end; a Sample.  CommandFailed with the end of what it said, and
    TimedOut where that does not come within `limit` seconds."""
    argv = [str(a) for a in argv]
    before = place.counts() if place else None
    daemon_cpu = tree_cpu(daemon) if daemon else 0.0
    with open(log or os.devnull, "w+b") as out:
        begin = time.monotonic()
        with subprocess.Popen(argv, env=env, cwd=cwd, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=out) as p:
            sampler = Sampler(daemon or p.pid)
            try:
                sampler.start()
                killed = kill_after(p, limit)
                _, status, usage = os.wait4(p.pid, 0)
            except BaseException:	# a signal ends the run, and this with it
                kill_tree(p.pid)
                sampler.end()
                raise
            p.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.monotonic() - begin
            sampler.end()
        if killed:
            raise TimedOut(f"{' '.join(argv)[:300]}: does not end within {limit:g} s")
        if p.returncode not in ok:
            end = pathlib.Path(log).read_text(errors="replace")[-600:] if log else ""
            raise CommandFailed(f"{' '.join(argv)[:300]}: status {p.returncode}: {end}")
    s = Sample(seconds, usage.ru_utime + usage.ru_stime, sampler.anon, sampler.all)
    if daemon:
        s.cpu += tree_cpu(daemon) - daemon_cpu
    else:	# short commands end between two looks
        s.resident = max(s.resident, usage.ru_maxrss)
    if place:
        after = place.counts()
        for name in ("requests", "bytes_up", "bytes_down"):
            setattr(s, name, after[name] - before[name])
    return s
