#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Peak memory of backup and mount on a tree of a million files and on one large file.

usage: memory.py BUILD DIR [--files N] [--gib N]

Prints a table, a row as soon as it is known; --files 0 or --gib 0 leaves that input
out.  Resident memory is counted without mapped files (RssAnon and
RssShmem of /proc/PID/status), since the kernel takes the pages of the mapped
index back when it needs them; it is sampled every 10 ms."""
import argparse
import hashlib
import os
import pathlib
import subprocess
import time


READERS = 32


def resident(pid):
    """(anonymous and shared, all) resident KiB of a process; zeros when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            v = dict(line.split(":", 1) for line in f)
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    kib = {k: int(v[k].split()[0]) for k in ("RssAnon", "RssShmem", "VmRSS") if k in v}
    return kib.get("RssAnon", 0) + kib.get("RssShmem", 0), kib.get("VmRSS", 0)


class Run:
    """A command, and the peaks of a process while it runs."""

    def __init__(self, args, env, watch=None, quiet=True):
        begin = time.monotonic()
        out = subprocess.DEVNULL if quiet else None
        p = subprocess.Popen(args, env=env, stdout=out)
        self.anon = self.all = 0
        while p.poll() is None:
            anon, everything = resident(watch or p.pid)
            self.anon, self.all = max(self.anon, anon), max(self.all, everything)
            time.sleep(0.01)
        self.seconds = time.monotonic() - begin
        if p.returncode != 0:
            raise SystemExit(f"{args} ended with status {p.returncode}")


def make_files(where, count):
    """So many files of 0 to 2,000 bytes, a thousand a directory."""
    for d in range(0, count, 1000):
        sub = where / f"d{d // 1000:05d}"
        sub.mkdir(parents=True)
        here = os.open(sub, os.O_RDONLY)
        for i in range(d, min(count, d + 1000)):
            fd = os.open(f"f{i:07d}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=here)
            os.write(fd, (b"%d " % i) * (i % 250))
            os.close(fd)
        os.close(here)


def make_large(path, gib):
    """No two blocks alike, half of it compressible."""
    with open(path, "wb") as f:
        for i in range(gib * 1024):
            seed = hashlib.sha256(b"%d" % i).digest()
            half = hashlib.shake_128(seed).digest(1 << 19)
            f.write(half + seed * (1 << 14))


def read_at_once(path, gib):
    """A shell command: each reader has a part of its own, of 64 MiB at most."""
    part = gib * 1024 // READERS
    return "".join(f"dd if='{path}' of=/dev/null bs=1M skip={i * part} "
                   f"count={min(part, 64)} status=none & " for i in range(READERS)) + "wait"


def row(what, r):
    print(f"{what:44} {r.seconds:8.1f} {r.anon / 1024:6.0f} {r.all / 1024:18.0f}", flush=True)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("build")
    a.add_argument("dir", type=pathlib.Path)
    a.add_argument("--files", type=int, default=1_000_000)
    a.add_argument("--gib", type=int, default=20)
    a = a.parse_args()
    build = str(pathlib.Path(a.build).resolve())
    print(f"{'':44} {'seconds':>8} {'MiB':>6} {'with mapped files':>18}", flush=True)
    for name in [n for n, much in (("files", a.files), ("large", a.gib)) if much > 0]:
        work = a.dir / name
        work.mkdir(parents=True)
        (work / "password").write_text("benchmark\n")
        env = dict(os.environ, FIRN_REPOSITORY=str(work / "repo"),
                   FIRN_PASSWORD_FILE=str(work / "password"),
                   FIRN_CACHE_DIR=str(work / "cache"))
        source = work / "source"
        source.mkdir()
        if name == "files":
            make_files(source, a.files)
            what = f"{a.files:,} files"
        else:
            make_large(source / "large", a.gib)
            what = f"one file of {a.gib} GiB"
        firn = [f"{build}/firn"]
        subprocess.run(firn + ["init", "-q"], env=env, check=True)
        row(f"backup, {what}", Run(firn + ["backup", "-q", source], env))
        row(f"backup again, {what}", Run(firn + ["backup", "-q", source], env))
        mnt = work / "mnt"
        mnt.mkdir()
        p = subprocess.Popen([f"{build}/firnfs", env["FIRN_REPOSITORY"], str(mnt), "-f"], env=env)
        while not os.path.ismount(mnt):
            time.sleep(0.01)
        try:
            top = f"{mnt}/latest{source.resolve()}"
            row(f"mount, find, {what}", Run(["find", top, "-size", "+1"], env, p.pid))
            row(f"mount, cat all, {what}",
                Run(["sh", "-c", f"find '{top}' -type f -print0 | xargs -0 cat"], env, p.pid))
            if name == "large":
                row(f"mount, {READERS} at once, {what}",
                    Run(["sh", "-c", read_at_once(f"{top}/large", a.gib)], env, p.pid))
        finally:
            subprocess.run(["umount", str(mnt)], check=True)
            p.wait()
        subprocess.run(["rm", "-rf", str(work)], check=True)


if __name__ == "__main__":
    main()
