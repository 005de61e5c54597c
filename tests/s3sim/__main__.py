# SPDX-License-Identifier: Apache-2.0
"""The simulator as a process; serves until SIGTERM or SIGINT.

Invariant: the port file appears, whole, only when the port answers.
"""

import argparse
import os
import signal

from .server import QUIRKS, S3Sim


def arguments():
    parser = argparse.ArgumentParser(prog="s3sim", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0: a free one")
    add("--port-file", metavar="F", help="written when the port answers")
    add("--access-key", default="AKIDTEST")
    add("--secret-key", default="SECRETTEST")
    add("--session-token", help="require x-amz-security-token to be this")
    add("--region", default="us-east-1")
    add("--domain", default="localhost", help="for buckets named by host")
    add("--bucket", nargs="+", action="extend", default=[], metavar="NAME")
    add("--versioned", action="store_true", help="the buckets are versioned")
    add("--data-dir", metavar="DIR", help="objects in files, not in memory")
    add("--log", metavar="FILE", help="one JSON line for each request")
    add("--quirk", nargs="+", action="extend", default=[], choices=sorted(QUIRKS))
    add("--allow-unsigned", action="store_true", help="allow UNSIGNED-PAYLOAD")
    add("--trust-bodies", action="store_true",
        help="compute no digest of bodies, for benchmarks")
    add("--latency", type=float, default=0.0, metavar="S")
    add("--bandwidth", type=float, default=0, metavar="BYTES/S")
    add("--seed", type=int)
    add("--gate", nargs="+", metavar="WORD", help="URL ACCESS-KEY SECRET-KEY BUCKET "
        "[CLASS...]: the bytes lie in that bucket of another server")
    return parser.parse_args()


def write_port(path, port):
    with open(path + ".new", "w") as file:
        file.write(f"{port}\n")
    os.replace(path + ".new", path)


def main():
    options = vars(arguments())
    port_file = options.pop("port_file")
    buckets, quirks = options.pop("bucket"), options.pop("quirk")
    if options["gate"]:
        options["gate"] = (*options["gate"][:4], options["gate"][4:])
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    with S3Sim(buckets, quirks=quirks, **options) as sim:
        if port_file:
            write_port(port_file, sim.port)
        print("s3sim: ready", flush=True)
        signal.sigwait(ends)


main()
