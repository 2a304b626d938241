#!/usr/bin/env python3
"""Compares every hit with ripgrep's: oracle.py CORPUS [QUERIES]

CORPUS is a directory of logs (<group>__<project>/<job>/<NNNNN>.log). It is synced into a new archive; ripgrep then
searches what `show --plain` prints. Exits 1 where one line differs. Needs `rg`.
"""
import json, re, subprocess, sys
from pathlib import Path
import common


def main():
    corpus = sys.argv[1]
    queries = common.queries(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).with_name("queries.txt"))
    common.build()
    archive, _ = common.sync(corpus)
    plain = common.tmp()
    jobs = common.jobvault(archive, "jobs", "--json", "--limit", 10**9).stdout.splitlines()
    for job in (json.loads(line)["job"] for line in jobs):
        (plain / str(job)).write_bytes(common.jobvault(archive, "show", "--plain", job).stdout)
    wrong = total = 0
    for kind, text in queries:
        expected, found = ripgrep(plain, kind, text), ours(archive, kind, text)
        total += len(expected)
        if expected != found:
            wrong += 1
            print(f"{kind} {text!r}: {len(expected - found)} missed, {len(found - expected)} false")
    print(f"{len(queries) - wrong} of {len(queries)} queries equal to ripgrep's hits, {total} lines in {len(jobs)} logs; {common.machine()}")
    sys.exit(1 if wrong else 0)


def ripgrep(plain, kind, text):
    flags = ["-F"] if kind == "F" else []
    run = subprocess.run(["rg", "--no-config", "-uu", "-a", "-E", "none", "-n", "--no-heading", "--with-filename", "-S", *flags,
                          "-e", text, "."], cwd=plain, capture_output=True)
    hits = (re.match(rb"\./(\d+):(\d+):", line) for line in run.stdout.split(b"\n"))
    return {(int(m[1]), int(m[2])) for m in hits if m}


def ours(archive, kind, text):
    run = common.jobvault(archive, "search", "--json", "--no-limit", common.FLAG[kind], text)
    return {(hit["job"], hit["line"]) for hit in map(json.loads, run.stdout.splitlines())}


main()
