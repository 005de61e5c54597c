# SPDX-License-Identifier: Apache-2.0
"""Puts the test packages (the simulator, the RGW launcher) on the path, and says
which tests begin first."""
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))


MARKERS = [
    "sanitize: also run by a build with sanitizers",
    "threads: also run by a build with ThreadSanitizer",
    "long: takes long, so it begins before others and none waits for it in the end",
    "xdist_group(name): tests that one process runs, when there are several",
    "stores(*names, usual=names, sanitize=names): the stores that a test with `firn` runs "
    "over, and which of them usually and in builds with sanitizers",
]


def pytest_configure(config):
    # Who runs this in the background of a script has ^C ignored, and so would
    # all that is started here.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
