#!/usr/bin/env python3
"""Times search against `rg -z` over per-log gzip files, whole processes, same logs, same run: search.py CORPUS [QUERIES]

Needs `rg`. Each query runs once to warm up and three times for the clock; the least counts. ripgrep runs once.
"""
import gzip, statistics, subprocess, sys, time
from pathlib import Path
import common


def clock(command):
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return (time.perf_counter() - start) * 1000


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main():
    corpus = sys.argv[1]
    queries = common.queries(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).with_name("queries.txt"))
    common.build()
    archive, _ = common.sync(corpus)
    zipped, raw = common.tmp(), 0
    for i, log in enumerate(common.logs(corpus)):
        data = log.read_bytes()
        raw += len(data)
        (zipped / f"{i:06}.gz").write_bytes(gzip.compress(data, 6))
    rows = []
    for kind, text in queries:
        ours = [common.BIN, "--archive", archive, "search", common.FLAG[kind], text]
        clock(ours)
        theirs = ["rg", "--no-config", "-uu", "-j2", "-z", "-a", "-E", "none", "-S", *(["-F"] if kind == "F" else []), "-e", text, zipped]
        rows.append((min(clock(ours) for _ in range(3)), clock(theirs), kind, text))
    for mine, other, kind, text in sorted(rows, key=lambda row: row[1] / row[0]):
        print(f"{mine:8.1f} ms {other:8.0f} ms {other / mine:6.0f}x  {kind} {text}")
    mine, other = [r[0] for r in rows], [r[1] for r in rows]
    print(f"{raw / 1e6:.0f} MB, {len(rows)} queries; {common.machine()}")
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        a, b = percentile(mine, share), percentile(other, share)
        print(f"{name}: jobvault {a:.1f} ms, rg -z {b:.0f} ms, {b / a:.0f}x")
    print(f"median of the ratios {statistics.median(o / m for m, o, *_ in rows):.0f}x, least {min(o / m for m, o, *_ in rows):.1f}x")


main()
