# SPDX-License-Identifier: Apache-2.0
"""The chart: for each row one bar a program, its median time over that of firn.

The axis is logarithmic, since the ratios span three decades; the whisker goes
from the fastest run to the slowest."""
import html
import math

LEFT, WIDTH, BAR, GAP, TOP = 330, 620, 14, 18, 44
COLOURS = {"firn": "#1f6feb", "firn restore": "#79b8ff", "restic": "#d9822b",
           "restic restore": "#d9822b", "borg": "#8250df", "casync": "#b35900",
           "rclone": "#2da44e", "s3fs": "#57606a", "ext4": "#8c959f"}


def bars(results):
    """(label, ratio, low, high) of those that ran."""
    firn = next((r.median("seconds") for r in results if r.label == "firn" and r.samples), None)
    if not firn:
        return []
    found = []
    for r in results:
        if r.samples:
            seconds = [s.seconds / firn for s in r.samples]
            found.append((r.label, r.median("seconds") / firn, min(seconds), max(seconds)))
    return found


def text(x, y, words, anchor="start", size=11, weight="normal"):
    return (f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" text-anchor="{anchor}" '
            f'font-weight="{weight}">{html.escape(words)}</text>')


def svg(rows, title):
    drawn = [(row, bars(results)) for row, results in rows]
    drawn = [(row, b) for row, b in drawn if b]
    values = [v for _, b in drawn for bar in b for v in bar[1:]] or [1.0]
    low = math.floor(math.log10(min(values + [0.5])))
    high = math.ceil(math.log10(max(values + [2.0])))

    def x(ratio):
        return LEFT + (math.log10(ratio) - low) / (high - low) * WIDTH

    height = TOP + sum(GAP + 6 + BAR * len(b) for _, b in drawn) + 30
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 90}" '
           f'height="{height}" font-family="sans-serif">',
           '<rect width="100%" height="100%" fill="white"/>',
           text(10, 18, title, size=14, weight="bold")]
    for e in range(low, high + 1):
        at = x(10.0 ** e)
        out.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="{TOP - 8}" y2="{height - 24}" '
                   f'stroke="{"#000" if e == 0 else "#ddd"}"/>')
        out.append(text(at, height - 10, f"{10.0 ** e:g} x", "middle"))
    y = TOP
    for row, b in drawn:
        y += GAP
        out.append(text(10, y, row.title, size=11, weight="bold"))
        y += 6
        for label, ratio, least, most in b:
            zero, end = sorted((x(1.0), x(ratio)))
            colour = COLOURS.get(label, "#6e7781")
            out.append(text(LEFT - 8, y + BAR - 4, label, "end"))
            out.append(f'<rect x="{zero:.1f}" y="{y}" width="{max(end - zero, 1.5):.1f}" '
                       f'height="{BAR - 3}" fill="{colour}"/>')
            out.append(f'<line x1="{x(least):.1f}" x2="{x(most):.1f}" y1="{y + BAR / 2 - 1}" '
                       f'y2="{y + BAR / 2 - 1}" stroke="#000"/>')
            out.append(text(max(end, x(most)) + 5, y + BAR - 4, f"{ratio:.2g}"))
            y += BAR
    out.append("</svg>\n")
    return "\n".join(out)
