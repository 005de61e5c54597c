# SPDX-License-Identifier: Apache-2.0
"""Where backups go: a directory, Ceph RGW, RGW behind a line with latency.

Both of the latter are reached through line.c, which counts requests and bytes
for all programs alike.  Without RGW the simulator takes its place, and then the
rows say so.

A place (`Place`) is one program's part of a store: what it stored there can be
sized, counted and removed."""
import contextlib
import dataclasses
import mmap
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import time
import xml.etree.ElementTree

from rgw import Rgw, free_port, missing_programs
from s3sim import S3Sim
from s3sim.client import Client

COUNTS = ("connections", "requests", "gets", "puts", "heads", "deletes", "posts",
          "bytes_up", "bytes_down")
IN_MEMORY = 2			# bytes that Ceph takes there for one that was put
FAR_RTT = 0.020			# s
FAR_BANDWIDTH = 125_000_000	# bytes/s: 1 Gbit/s


def available_memory():
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f
                    if line.startswith("MemAvailable:"))


@dataclasses.dataclass
class S3:
    url: str
    bucket: str
    access_key: str
    secret_key: str


class Place:
    """Local: `path`; remote: `s3`, and `near` for preparing without the delay."""

    def __init__(self, path=None, s3=None, line=None, store=None):
        self.path, self.s3, self.line, self.store = path, s3, line, store

    def counts(self):
        return self.line.counts() if self.line else dict.fromkeys(COUNTS, 0)

    def size(self):
        if self.path:
            out = subprocess.run(["du", "-sB1", "--apparent-size", self.path],
                                 capture_output=True, check=True).stdout
            return int(out.split()[0])
        return sum(size for _, size in self.store.objects(self.s3.bucket))

    def remove(self):
        if self.path:
            shutil.rmtree(self.path, ignore_errors=True)
        else:
            self.store.remove_bucket(self.s3.bucket)


class Line:
    """A running line.c in front of a port of loopback."""

    def __init__(self, program, directory, port, rtt=0.0, bandwidth=0):
        self.port = free_port()
        self.file = pathlib.Path(directory) / f"line-{self.port}"
        self.process = subprocess.Popen(
            [program, str(self.port), str(port), str(int(rtt * 1e6)), str(bandwidth),
             self.file], stdin=subprocess.DEVNULL)
        self.wait_listening()
        with open(self.file, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 8 * len(COUNTS), prot=mmap.PROT_READ)

    def wait_listening(self):
        end = time.monotonic() + 30
        while True:
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the line does not answer")
            time.sleep(0.01)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def counts(self):
        return dict(zip(COUNTS, struct.unpack(f"={len(COUNTS)}Q", self.map[:8 * len(COUNTS)])))

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.map.close()
        self.file.unlink(missing_ok=True)


class Stores:
    """All three; RGW and the lines are started when first asked for."""

    def __init__(self, directory, line_program, rgw=True):
        self.dir = pathlib.Path(directory)
        self.line_program = line_program
        self.with_rgw = rgw and not missing_programs()
        self.server = None
        self.lines = {}
        self.buckets = set()
        self.next = 0

    @property
    def kind(self):
        return "Ceph RGW" if self.with_rgw else "simulator"

    def start(self):
        if self.server:
            return
        if self.with_rgw:
            self.server = Rgw(self.dir / "rgw").start()
        else:
            self.server = S3Sim([], data_dir=str(self.dir / "sim"), trust_bodies=True)
            self.server.start()
        port = int(self.server.url.rsplit(":", 1)[1])
        self.lines["rgw"] = Line(self.line_program, self.dir, port)
        self.lines["far"] = Line(self.line_program, self.dir, port, FAR_RTT, FAR_BANDWIDTH)

    def stop(self):
        for line in self.lines.values():
            line.stop()
        self.lines.clear()
        self.buckets.clear()
        if self.server:
            self.server.stop()
            self.server = None

    def place(self, kind, name):
        """A new, empty place; kind is local, rgw or far."""
        self.next += 1
        name = f"{name}-{self.next}"
        if kind == "local":
            return Place(path=self.dir / "local" / name)
        self.start()
        with self.client() as c:
            if c.request("PUT", name).status != 200:
                raise RuntimeError(f"cannot make the bucket '{name}'")
        self.buckets.add(name)
        return self.view(kind, name)

    def view(self, kind, bucket):
        """A bucket, seen through the line of this kind."""
        line = self.lines[kind]
        s3 = S3(line.url, bucket, "AKIDTEST", "SECRETTEST")
        return Place(s3=s3, line=line, store=self)

    def client(self):
        return Client(self.server.url, timeout=300)

    def room(self, kind):
        """Bytes that a place of this kind can still take in."""
        if kind == "local" or not self.with_rgw:
            return shutil.disk_usage(self.dir).free
        self.start()
        used = sum(size for bucket in self.buckets for _, size in self.objects(bucket))
        return min(self.server.capacity - used, available_memory() // IN_MEMORY)

    def objects(self, bucket):
        """(key, size) of all in a bucket."""
        query = {"list-type": "2"}
        with self.client() as c:
            while True:
                root = xml.etree.ElementTree.fromstring(c.request("GET", bucket, query=query).body)
                at = root.tag[:root.tag.find("}") + 1]
                for o in root.iter(at + "Contents"):
                    yield o.findtext(at + "Key"), int(o.findtext(at + "Size"))
                token = root.findtext(at + "NextContinuationToken")
                if not token:
                    return
                query["continuation-token"] = token

    def remove_bucket(self, bucket):
        keys = [key for key, _ in self.objects(bucket)]
        with self.client() as c:
            for key in keys:
                c.request("DELETE", bucket, key)
            c.request("DELETE", bucket)
        self.buckets.discard(bucket)
        if self.with_rgw:
            self.server.reclaim()


@contextlib.contextmanager
def stores(directory, line_program, rgw=True):
    s = Stores(directory, line_program, rgw)
    os.makedirs(directory, exist_ok=True)
    try:
        yield s
    finally:
        s.stop()
