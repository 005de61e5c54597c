# SPDX-License-Identifier: Apache-2.0
"""Memory and file descriptors do not grow with the number of objects, however
many requests fail.  FIRN_SOAK=1: 10,000 objects."""
import os
import time

from chaos import MIB, chaos_repository, seeded
from firn_tool import Failed

OBJECTS = 10_000 if os.environ.get("FIRN_SOAK") else 600


def resident(pid):
    """Bytes resident, but for mapped files."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return 1024 * sum(int(fields.get(name, "0").split()[0])
                      for name in ("RssAnon", "RssShmem"))


def watch(process, progress):
    """[(progress, resident, descriptors)] until the process ends."""
    samples = []
    while process.poll() is None:
        try:
            samples.append((progress(), resident(process.pid),
                            len(os.listdir(f"/proc/{process.pid}/fd"))))
        except (FileNotFoundError, ProcessLookupError, KeyError):
            continue
        time.sleep(0.02)
    return samples


def peak(samples, low, high):
    found = [s[1:] for s in samples if low <= s[0] <= high]
    assert found, f"nothing seen between {low} and {high} objects"
    return max(s[0] for s in found), max(s[1] for s in found)


def test_backup_is_flat(work):
    rand = seeded()
    src = work / "src"
    src.mkdir()
    # About 110 KiB of two frames make a pack of 128 KiB.
    for i in range(OBJECTS // 100):
        (src / f"f{i}").write_bytes(rand.randbytes(11 * MIB))
    with chaos_repository(work) as firn:
        firn.sim.faults.storm(0.05, seconds=0.05)
        process = firn.start("backup", "--level", "1", "--quiet", src)
        bucket = firn.sim.bucket("bucket")
        samples = watch(process, lambda: len(bucket.names))
        _, err = process.communicate()
        if process.returncode != 0:
            raise Failed(err)
        end = len(bucket.names)
        assert end > OBJECTS * 0.8
    # Between a tenth and a third all is at work already, and trying the password
    # is over.
    memory, files = peak(samples, end / 10, end / 3)
    last_memory, last_files = peak(samples, end * 2 / 3, end)
    print(f"{end} objects: {memory / MIB:.1f} to {last_memory / MIB:.1f} MiB, "
          f"{files} to {last_files} descriptors")
    assert last_memory < memory * 1.1 + 6 * MIB
    assert last_files < files + 8
