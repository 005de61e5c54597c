# SPDX-License-Identifier: Apache-2.0
"""The benchmark: firnfs and its peers on the same inputs, in turn, in one run.

    PYTHONPATH=tests python3 -m bench --build build --dir /var/tmp/bench

inputs.py     what is backed up and read
stores.py     where to: a directory, Ceph RGW, RGW behind a slow line (line.c)
measure.py    time, CPU, memory, requests and bytes of one command
peers.py      how each program does it
rows.py       what is measured, and the goals
runner.py     who runs when: A B A B, caches dropped
report.py     the table, JSON
chart.py      the SVG chart

A program that is not installed is reported as absent, one that fails as
failed; neither ends the run.  Only ratios within a run mean something."""
