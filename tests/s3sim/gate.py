# SPDX-License-Identifier: Apache-2.0
"""The simulator as a gate: bytes lie in a bucket of another, real server.

S3Sim(gate=(url, access key, secret key, bucket, classes)) puts each object there
under its key and a number, in its storage class if that is one of `classes`, and
gets every byte that it hands out from there by a range.  What is archived, and
what that refuses, stays with the simulator: Ceph's own GLACIER reads at once.
Invariant: an answer of the server other than the one wanted is an exception, so
the simulator never makes up a byte.
"""

import itertools
import threading

from .client import Client


class GateError(Exception):
    """The server behind the gate did not do what it was asked."""


class GateStore:
    def __init__(self, url, access_key, secret_key, bucket, classes=()):
        self.account = (url, access_key, secret_key)
        self.bucket = bucket
        self.classes = frozenset(classes)
        self.numbers = itertools.count(1)
        self.local = threading.local()	# a connection for each thread

    def writer(self, size, key="object", storage_class=None):
        return GateWriter(self, size, f"{key}.{next(self.numbers)}", storage_class)

    def ask(self, method, name, want, **options):
        if not hasattr(self.local, "client"):
            self.local.client = Client(*self.account)
        answer = self.local.client.request(method, self.bucket, name, **options)
        if answer.status not in want:
            raise GateError(f"{method} {self.bucket}/{name}: {answer}")
        return answer


class GateWriter:
    def __init__(self, store, size, name, storage_class):
        self.store = store
        self.view = memoryview(bytearray(size))
        self.used = 0
        self.name = name
        known = storage_class in store.classes
        self.headers = {"x-amz-storage-class": storage_class} if known else {}

    def room(self, size):
        return self.view[self.used:self.used + size]

    def wrote(self, size):
        self.used += size

    def finish(self):
        self.store.ask("PUT", self.name, (200,), body=bytes(self.view),
                       headers=self.headers)
        return GateBlob(self.store, self.name, len(self.view))

    def abort(self):
        self.view = None


class GateBlob:
    def __init__(self, store, name, size):
        self.store = store
        self.name = name
        self.size = size

    def reader(self, start, size):
        """Gets the bytes now, so that a later free() does not matter."""
        if not size:
            return iter([])
        headers = {"range": f"bytes={start}-{start + size - 1}"}
        body = self.store.ask("GET", self.name, (206,), headers=headers).body
        if len(body) != size:
            raise GateError(f"{self.name}: {len(body)} bytes instead of {size}")
        return iter([body])

    def free(self):
        self.store.ask("DELETE", self.name, (204,))
