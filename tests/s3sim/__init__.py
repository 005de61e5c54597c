# SPDX-License-Identifier: Apache-2.0
"""A strict simulator of Amazon S3 for tests, standard library only.

In process: `with S3Sim(buckets=["b"]) as sim:` and then sim.url,
sim.bucket("b"), sim.stats, sim.faults.  As a process:
`python3 -m s3sim --port 0 --port-file F`.  See server.py for the options.
"""

from .faults import Rule
from .server import S3Sim

__all__ = ["Rule", "S3Sim"]
