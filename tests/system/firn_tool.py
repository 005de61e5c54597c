# SPDX-License-Identifier: Apache-2.0
"""Running firn and firnfs as a person would, and looking at what they did."""
import contextlib
import json
import os
import pathlib
import subprocess
import time

BUILD = pathlib.Path(os.environ.get("FIRN_BUILD", "build")).resolve()


class Failed(AssertionError):
    """A command ended otherwise than the test wanted; shows all it said."""


def wait_for(condition, what, seconds=180):
    """Wait until condition() is true; its last value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


def settle():
    """Until what was written just now is old enough that a backup which begins then
    need not read it again the next time: 20 ms, and what clocks differ."""
    begin = time.time()
    wait_for(lambda: time.time() > begin + 0.05, "the clock to go on")


class Firn:
    """One repository, and the environment in which commands see it."""

    def __init__(self, work, url, env=None):
        self.work = pathlib.Path(work)
        self.url = url
        self.password = self.work / "password"
        if not self.password.exists():
            self.password.write_text("correct horse battery staple\n")
        # Servers of tests are here; whoever runs them may need a proxy elsewhere.
        outside = {n: v for n, v in os.environ.items() if not n.lower().endswith("_proxy")}
        self.env = dict(outside, FIRN_REPOSITORY=url,
                        FIRN_PASSWORD_FILE=str(self.password),
                        FIRN_CACHE_DIR=str(self.work / "cache"),
                        PATH=f"{BUILD}:{os.environ['PATH']}", **(env or {}))
        self.sim = None
        self.objects = None		# what the store holds; see objects.py

    def __call__(self, *args, status=0, env=None, stdin=None, **kw):
        """Run firn; returns the finished process.  status None: any."""
        r = subprocess.run([str(BUILD / "firn"), *map(str, args)],
                           env=dict(self.env, **(env or {})), input=stdin,
                           capture_output=True, **kw)
        r.out = r.stdout.decode("utf-8", "surrogateescape")
        r.err = r.stderr.decode("utf-8", "surrogateescape")
        if status is not None and r.returncode != status:
            raise Failed(f"firn {' '.join(map(str, args))}: status {r.returncode}, "
                         f"wanted {status}\n--- stdout\n{r.out}\n--- stderr\n{r.err}")
        return r

    def start(self, *args, prefix=(), **kw):
        """Run firn in the background, by way of the command `prefix`."""
        return subprocess.Popen([*prefix, str(BUILD / "firn"), *map(str, args)],
                                env=self.env,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)

    def json(self, *args, **kw):
        """The JSON lines that a command prints, without one that only counts."""
        out = self(*args, "--json", **kw).out
        lines = [json.loads(line) for line in out.splitlines()]
        return [x for x in lines if set(x) != {"store"}]

    def backup(self, *args, **kw):
        """Back up; the summary."""
        return self.json("backup", *args, **kw)[-1]

    def check(self, *args, status=0):
        """Check; (problems, summary)."""
        lines = self.json("check", *args, status=status)
        return lines[:-1], lines[-1]

    def generations(self, *args):
        return self.json("generations", *args)

    def client(self, cache=None):
        """The same repository seen from a host without local state."""
        other = Firn(self.work, self.url)
        other.env = dict(self.env, FIRN_CACHE_DIR=str(self.work / (cache or "cache2")))
        other.sim, other.objects = self.sim, self.objects
        return other

    def store_dir(self):
        return pathlib.Path(self.url)

    @contextlib.contextmanager
    def mount(self, name="mnt", options=None, env=None):
        """Mounted at work/name; yields the directory."""
        where = self.work / name
        where.mkdir(exist_ok=True)
        args = ["mount", where] + (["-o", options] if options else [])
        self(*args, env=env)
        try:
            yield where
        finally:
            unmount(where)


def unmount(where):
    subprocess.run(["umount", str(where)], check=True, capture_output=True)


def mounts_below(directory):
    found = []
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        for line in f:
            where = line.split()[1].replace("\\040", " ")
            if where == str(directory) or where.startswith(str(directory) + "/"):
                found.append(where)
    return found


def mount_process(where):
    """The id of the firnfs that serves this mount point; 0 when there is none."""
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if words[0].endswith(b"firnfs") and os.fsencode(where) in words:
                return int(path.parent.name)
    return 0


def unmount_all(directory):
    for where in reversed(mounts_below(directory)):
        subprocess.run(["umount", "-l", where], check=False, capture_output=True)


def rsync_differences(source, copy, *more):
    """What rsync would change; empty when copy is the same as source."""
    r = subprocess.run(["rsync", "-aHAXnc", "--delete", "--itemize-changes", *more,
                        f"{source}/", f"{copy}/"], capture_output=True, check=False)
    text = (r.stdout + r.stderr).decode("utf-8", "surrogateescape")
    if r.returncode != 0:
        text += f"rsync ended with status {r.returncode}"
    return text


def assert_same(source, copy, *more):
    differences = rsync_differences(source, copy, *more)
    assert differences == "", f"{source} and {copy} differ:\n{differences[:4000]}"
