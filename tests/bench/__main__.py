# SPDX-License-Identifier: Apache-2.0
"""firnfs against its peers; prints a table, writes JSON and an SVG chart."""
import argparse
import fcntl
import fnmatch
import os
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from bench import chart, peers, report, rows, runner, target		# noqa: E402
from bench.inputs import TARBALL, Inputs		# noqa: E402
from bench.stores import stores		# noqa: E402


def arguments():
    a = argparse.ArgumentParser(prog="bench", description=__doc__)
    a.add_argument("--build", default="build", help="where firn, firnfs and bench_line are")
    a.add_argument("--dir", default="/var/tmp/firn-bench", help="scratch, on a disk")
    a.add_argument("--scale", type=float, help="of the inputs; 1 is a million files")
    a.add_argument("--runs", type=int, help="of each; default 3")
    a.add_argument("--quick", action="store_true", help="small inputs, two runs")
    a.add_argument("--only", default="*", help="rows whose id matches, comma-separated")
    a.add_argument("--tarball", default=TARBALL, help="the Linux source; 'none'")
    a.add_argument("--simulator", action="store_true", help="never RGW")
    a.add_argument("--out", default="bench", help="writes OUT.json and OUT.svg")
    a.add_argument("--list", action="store_true", help="the rows, and no more")
    return a.parse_args()


def chosen(a):
    return [r for r in rows.ROWS if (r.quick or not a.quick)
            and any(fnmatch.fnmatch(r.id, p) for p in a.only.split(","))]


def versions(bench):
    found = {}
    for name, peer in peers.PEERS.items():
        missing = peer.missing(bench)
        found[name] = "absent" if missing else peer.version(bench)
    return found


def lock(directory):
    """One run at a time in a directory; held until the process ends."""
    fd = os.open(directory / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(f"bench: another run uses '{directory}': wait for it, or choose --dir")


def clean(directory):
    """What a run that was killed left behind; inputs stay."""
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as f:
        if any(line.split()[1].startswith(f"{directory / 'work'}/") for line in f):
            sys.exit(f"bench: something is mounted below '{directory}/work': unmount it first")
    target.Target(directory).remove()
    for name in ("work", "stores"):
        shutil.rmtree(directory / name, ignore_errors=True)


def main():
    a = arguments()
    todo = chosen(a)
    if a.list:
        for r in todo:
            print(f"{r.id:18} {r.title}")
        return
    if os.geteuid() != 0:
        sys.exit("bench: must be root, to drop the kernel's caches between runs")
    directory = pathlib.Path(a.dir).resolve()
    directory.mkdir(parents=True, exist_ok=True)
    lock(directory)
    clean(directory)
    # Unmount and remove in any case; what runs in the background ignores SIGINT.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scale = a.scale or (0.02 if a.quick else 1.0)
    inputs = Inputs(directory / "inputs", scale, None if a.tarball == "none" else a.tarball)
    about = report.machine()
    line = pathlib.Path(a.build).resolve() / "bench_line"
    with stores(directory / "stores", line, rgw=not a.simulator) as s:
        bench = runner.Bench(a.build, directory, inputs, s, a.runs or (2 if a.quick else 3),
                             say=lambda text: print(text, file=sys.stderr, flush=True))
        done = []
        for row, results in bench.run(todo):
            done.append((row, results))
            print(report.row_text(row, results), flush=True)
            doc = report.document(bench, done, versions(bench), about)
            report.write_json(pathlib.Path(a.out + ".json"), doc)
            title = f"median time over that of firn (scale {scale:g}, {bench.reps} runs)"
            pathlib.Path(a.out + ".svg").write_text(chart.svg(done, title), encoding="utf-8")
    clean(directory)
    for factor, row, text in report.missed(done):
        print(f"{row}: {text}")


if __name__ == "__main__":
    main()
