# SPDX-License-Identifier: Apache-2.0
"""Puts the test packages (the simulator, the RGW launcher) on the path."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also run by a build with sanitizers")
    config.addinivalue_line("markers", "threads: also run by a build with ThreadSanitizer")
