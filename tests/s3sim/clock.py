# SPDX-License-Identifier: Apache-2.0
"""The simulator's two clocks.

now() dates objects and archive restores and can be advanced by a test;
wall() is what request signatures are judged by, real time plus an adjustable
skew.  Invariant: no other module asks the system for the time of day.
"""

import time
from email.utils import formatdate


class Clock:
    def __init__(self):
        self.ahead = 0.0
        self.skew = 0.0

    def now(self):
        return time.time() + self.ahead

    def wall(self):
        return time.time() + self.skew

    def advance(self, seconds):
        self.ahead += seconds


def http_date(when):
    return formatdate(when, usegmt=True)


def iso_date(when):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(when))
