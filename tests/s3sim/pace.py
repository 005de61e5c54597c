# SPDX-License-Identifier: Apache-2.0
"""The simulated line: latency and bandwidth.

Latency is waited before the first byte of every answer, on each connection by
itself.  Bandwidth is bytes per second over all connections, for each
direction.  Invariant: waits end at once when the simulator stops.
"""

import threading
import time


class Bucket:
    """A token bucket that may go into debt: who takes more than is there
    waits until the debt is paid."""

    def __init__(self, stopping):
        self.stopping = stopping
        self.lock = threading.Lock()	# guards tokens and filled
        self.tokens = 0.0
        self.filled = time.monotonic()

    def take(self, amount, rate):
        with self.lock:
            now = time.monotonic()
            burst = rate / 50
            self.tokens = min(burst, self.tokens + (now - self.filled) * rate)
            self.filled = now
            self.tokens -= amount
            wait = -self.tokens / rate
        if wait > 0:
            self.stopping.wait(wait)


class Pace:
    def __init__(self, stopping, latency=0.0, bandwidth=0):
        self.stopping = stopping
        self.latency = latency
        self.bandwidth = bandwidth	# 0: no limit
        self.up = Bucket(stopping)
        self.down = Bucket(stopping)

    def wait_latency(self):
        if self.latency:
            self.stopping.wait(self.latency)

    def received(self, amount):
        if self.bandwidth:
            self.up.take(amount, self.bandwidth)

    def cut(self, piece):
        """Yields parts of `piece`, each when it may be sent."""
        view = memoryview(piece)
        if not self.bandwidth:
            yield view
            return
        size = min(1 << 16, int(self.bandwidth / 50) + 1)
        for at in range(0, len(view), size):
            part = view[at:at + size]
            self.down.take(len(part), self.bandwidth)
            yield part


class Rate:
    """At most so many in a second; None: any number."""

    def __init__(self, per_second=None):
        self.per_second = per_second
        self.lock = threading.Lock()	# guards all below
        self.second = self.count = 0

    def allow(self):
        with self.lock:
            if self.per_second is None:
                return True
            second = int(time.monotonic())
            if second != self.second:
                self.second, self.count = second, 0
            self.count += 1
            return self.count <= self.per_second
