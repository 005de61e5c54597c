#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a run of pytest found, for tests/check.sh.

    junit.py NAME STATUS XML LOG RESULT

prints "passed failed skipped"; when something failed it writes RESULT.failed,
a line for each failure, and RESULT.why, how each ended.
"""
import pathlib
import sys
import xml.etree.ElementTree as ElementTree

SHOWN = 12		# failures told at length
LINES = 45		# of each


def failures(suite):
    """(name, text) of each failure and error."""
    for case in suite.iter("testcase"):
        name = f"{case.get('classname', '').replace('.', '/')}::{case.get('name')}"
        for kind in "failure", "error":
            for node in case.findall(kind):
                outputs = [case.findtext(f"system-{stream}") or "" for stream in ("out", "err")]
                yield name, node, "".join(outputs)


def last_lines(text, limit):
    return "\n".join(text.rstrip().splitlines()[-limit:])


def read(status, xml, log):
    """((passed, failed, skipped), lines for .failed, text for .why)"""
    try:
        root = ElementTree.parse(xml).getroot()
    except (OSError, ElementTree.ParseError):
        return (0, 1, 0), [f"pytest ended with status {status} and told no results"], \
            last_lines(log.read_text(errors="replace"), 120)
    total = failed = skipped = 0
    lines, why = [], []
    for suite in root.iter("testsuite"):
        total += int(suite.get("tests"))
        skipped += int(suite.get("skipped"))
        for name, node, output in failures(suite):
            failed += 1
            message = (node.get("message") or "").splitlines() or [""]
            lines.append(f"{name}: {message[0][:200]}")
            if failed <= SHOWN:
                why.append(f"--- {name}\n{last_lines(node.text or '', LINES)}")
                if output:
                    why.append(f"(output)\n{last_lines(output, 15)}")
    if status and not failed:
        failed = 1
        lines.append(f"pytest ended with status {status}")
        why.append(last_lines(log.read_text(errors="replace"), 60))
    # A test whose fixture fails at its end has both passed and failed.
    return (max(total - failed - skipped, 0), failed, skipped), lines, "\n".join(why)


def main(step, status, xml, log, result):
    counts, lines, why = read(int(status), xml, pathlib.Path(log))
    if lines:
        pathlib.Path(result + ".failed").write_text(
            "".join(f"{step}: {line}\n" for line in lines), encoding="utf-8",
            errors="replace")
        pathlib.Path(result + ".why").write_text(why + "\n", encoding="utf-8",
                                                 errors="replace")
    print(*counts)


if __name__ == "__main__":
    main(*sys.argv[1:])
