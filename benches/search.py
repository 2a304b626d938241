#!/usr/bin/env python3
"""Times search against `rg -z` over per-log gzip files, whole processes, same logs, same run.

search.py CORPUS [--queries FILE] [--archive DIR] [--gzip DIR] [--rg N]

Needs `rg`. Each query runs once to warm up and three times for the clock; the least counts. ripgrep, whose time hardly
depends on what is asked, runs once for N of the queries (8); its median stands for the others. An archive of the corpus
and a directory of its logs, compressed one by one, are made unless they are given. Cold means that the archive's files
were dropped from the page cache before, as far as the system lets go of them.
"""
import argparse, gzip, os, re, statistics, subprocess, time
from pathlib import Path
import common

UNITS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
READ = re.compile(r"read: ([\d,]+) documents? decoded \(([\d.,]+) (\w+)\), [\d,]+ verified, ([\d,]+) false")
SELECTIVE = "F", "no log says this, ever"


def clock(command):
    """Milliseconds, and the most memory in MB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return (time.perf_counter() - start) * 1000, usage.ru_maxrss / 1024


def percentile(values, share):
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def zipped(corpus):
    target = common.tmp()
    for i, log in enumerate(common.logs(corpus)):
        (target / f"{i:06}.gz").write_bytes(gzip.compress(log.read_bytes(), 6))
    return target


def drop_cache(folder):
    for path in Path(folder).rglob("*"):
        if path.is_file():
            handle = os.open(path, os.O_RDONLY)
            os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(handle)


def decoded(command):
    """Documents and bytes read by a search, and documents read in vain, as it explains itself."""
    said = subprocess.run([*command, "--explain"], capture_output=True, text=True, errors="replace").stderr
    found = READ.search(said)
    documents, size, unit, vain = found.groups() if found else ("0", "0", "B", "0")
    number = lambda text: float(text.replace(",", ""))
    return int(number(documents)), number(size) * UNITS[unit], int(number(vain))


def ripgrep(queries, folder, count):
    step = max(1, len(queries) // max(1, count))
    times = {}
    for kind, text in queries[::step][:count]:
        command = ["rg", "--no-config", "-uu", "-j2", "-z", "-a", "-E", "none", "-S", *(["-F"] if kind == "F" else []), "-e", text, folder]
        times[kind, text] = clock(command)[0]
    return times


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus")
    parser.add_argument("--queries", default=Path(__file__).with_name("queries.txt"))
    parser.add_argument("--archive")
    parser.add_argument("--gzip")
    parser.add_argument("--rg", type=int, default=8)
    args = parser.parse_args()
    queries = common.queries(args.queries)
    common.build()
    archive = args.archive or common.sync(args.corpus)[0]
    raw = sum(log.stat().st_size for log in common.logs(args.corpus))
    theirs = ripgrep(queries, args.gzip or zipped(args.corpus), args.rg)
    usual = statistics.median(theirs.values())
    rows, memory = [], 0
    for kind, text in queries:
        ours = [common.BIN, "--archive", archive, "search", common.FLAG[kind], text]
        clock(ours)
        runs = [clock(ours) for _ in range(3)]
        memory = max(memory, *(most for _, most in runs))
        rows.append((min(took for took, _ in runs), theirs.get((kind, text), usual), kind, text, *decoded(ours)))
    for mine, other, kind, text, documents, size, vain in sorted(rows, key=lambda row: row[1] / row[0]):
        print(f"{mine:8.1f} ms {other:8.0f} ms {other / mine:6.0f}x {documents:6} read {vain:6} in vain {size / 1e6:8.1f} MB  {kind} {text}")
    mine = [row[0] for row in rows]
    print(f"{raw / 1e6:.0f} MB, {len(rows)} queries; {common.machine()}; rg -z {usual:.0f} ms")
    for name, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1)):
        took = percentile(mine, share)
        print(f"{name}: {took:.1f} ms, {usual / took:.0f}x")
    for kind, name in (("F", "literals"), ("E", "regexes")):
        of = [row for row in rows if row[2] == kind and row[4]]
        vain = 100 * sum(row[6] for row in of) / max(1, sum(row[4] for row in of))
        sizes = [row[5] / 1e6 for row in of]
        print(f"{name}: decoded p50 {percentile(sizes, 0.5):.1f} MB, p95 {percentile(sizes, 0.95):.1f} MB, {vain:.0f} % of documents in vain")
    cold = []
    for _ in range(3):
        drop_cache(archive)
        cold.append(clock([common.BIN, "--archive", archive, "search", common.FLAG[SELECTIVE[0]], SELECTIVE[1]])[0])
    print(f"cold, nothing found: {statistics.median(cold):.0f} ms; peak memory {memory:.0f} MB")


if __name__ == "__main__":
    main()
