# SPDX-License-Identifier: Apache-2.0
"""What the simulator was asked: a record of each request, and counters.

Invariant: a request is counted before the first byte of its answer is sent,
so that whoever has the answer finds it counted; bytes_out grows with what is
sent.  Requests to the control API are not counted.
"""

import collections
import dataclasses
import json
import threading
from dataclasses import dataclass

MAX_RECORDS = 200000


@dataclass
class Record:
    verb: str
    operation: str = None
    bucket: str = None
    key: str = None
    status: int = 0			# 0: no answer
    code: str = None			# of the S3 error
    bytes_in: int = 0
    bytes_out: int = 0
    fault: str = None
    range: str = None
    amz: dict = None			# headers x-amz-* but those of the signature
    counted: bool = False


class Stats:
    def __init__(self, log_path=None):
        self.lock = threading.Lock()	# guards all below
        self.log = open(log_path, "a", buffering=1) if log_path else None
        self.connections = 0
        self.reset()

    def reset(self):
        with self.lock:
            self.requests = collections.deque(maxlen=MAX_RECORDS)
            self.verbs = collections.Counter()
            self.operations = collections.Counter()
            self.statuses = collections.Counter()
            self.faults = collections.Counter()
            self.codes = collections.Counter()
            self.restores = {}	# (bucket, key): Counter of code or status
            self.bytes_in = self.bytes_out = 0

    def connected(self):
        with self.lock:
            self.connections += 1

    def add(self, record):
        with self.lock:
            record.counted = True
            self.requests.append(record)
            self.verbs[record.verb] += 1
            self.operations[record.operation or "?"] += 1
            self.statuses[record.status] += 1
            if record.code:
                self.codes[record.code] += 1
            if record.operation == "RestoreObject":
                counts = self.restores.setdefault((record.bucket, record.key),
                                                  collections.Counter())
                counts[record.code or str(record.status)] += 1
            if record.fault:
                self.faults[record.fault] += 1
            self.bytes_in += record.bytes_in

    def sent(self, record, amount):
        with self.lock:
            record.bytes_out += amount
            self.bytes_out += amount

    def write_log(self, record):
        with self.lock:
            if self.log:
                self.log.write(json.dumps(dataclasses.asdict(record)) + "\n")

    def describe(self):
        with self.lock:
            return {"requests": sum(self.verbs.values()), "verbs": dict(self.verbs),
                    "operations": dict(self.operations),
                    "statuses": dict(self.statuses), "faults": dict(self.faults),
                    "codes": dict(self.codes),
                    "bytes_in": self.bytes_in, "bytes_out": self.bytes_out,
                    "connections": self.connections}

    def restores_of(self, bucket):
        """{key: {code of the error, or status: how often}}"""
        with self.lock:
            return {key: dict(counts) for (name, key), counts
                    in self.restores.items() if name == bucket}

    def restored(self):
        """How many objects were asked for: what a test can look at all the time."""
        with self.lock:
            return len(self.restores)

    def close(self):
        with self.lock:
            if self.log:
                self.log.close()
                self.log = None
