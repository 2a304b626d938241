#!/usr/bin/env python3
"""Times search against `rg -z` over per-log gzip files, whole processes, same logs, same run.

search.py CORPUS [--queries FILE] [--archive DIR] [--gzip DIR] [--rg N]

Needs `rg`. Each query runs once to warm up and three times for the clock; the least counts. ripgrep, whose time hardly
depends on what is asked, runs once for N of the queries (8); its median stands for the others. An archive of the corpus
and a directory of its logs, compressed one by one, are made unless they are given. Cold means that the archive's files
were dropped from the page cache before, as far as the system lets go of them. Processor time is of the whole process, all
threads, its start included, for each GB of raw logs; documents read in vain are told by kind of query.
"""
import argparse, collections, gzip, json, os, statistics, subprocess, time
from pathlib import Path
import common

# A query, what it took here and of ripgrep (ms), processor time here (ms), and what it says of itself.
Row = collections.namedtuple("Row", "kind text took theirs cpu read bytes vain lines inside")
SELECTIVE = "F", "no log says this, ever"


def clock(command):
    """Milliseconds by the clock and of processors, and the most memory in MB, of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = os.wait4(process.pid, 0)
    process.returncode = 0
    return (time.perf_counter() - start) * 1000, (usage.ru_utime + usage.ru_stime) * 1000, usage.ru_maxrss / 1024


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


def explained(command):
    """What a search says of itself: documents and bytes read, documents read in vain, lines found, milliseconds inside."""
    said = subprocess.run([*command, "--json", "--explain"], capture_output=True, text=True, errors="replace").stderr
    plans = [json.loads(line)["explain"] for line in said.splitlines() if line.startswith('{"v":1,"explain"')]
    plan = plans[0] if plans else {}
    return [plan.get(key, 0) for key in ("decoded", "decoded_bytes", "false", "lines", "took_ms")]


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
        memory = max(memory, *(most for *_, most in runs))
        took, cpu = (min(run[part] for run in runs) for part in (0, 1))
        rows.append(Row(kind, text, took, theirs.get((kind, text), usual), cpu, *explained(ours)))
    for row in sorted(rows, key=lambda row: row.theirs / row.took):
        print(f"{row.took:8.1f} ms {row.theirs:8.0f} ms {row.theirs / row.took:6.0f}x {row.read:6} read {row.vain:6} in vain "
              f"{row.bytes / 1e6:8.1f} MB  {row.kind} {row.text}")
    mine = [row.took for row in rows]
    print(f"{raw / 1e6:.0f} MB, {len(rows)} queries; {common.machine()}; rg -z {usual:.0f} ms")
    for name, share in (("p50", 0.5), ("p95", 0.95), ("worst", 1)):
        took = percentile(mine, share)
        print(f"{name}: {took:.1f} ms, {usual / took:.0f}x")
    for kind, name in (("F", "literals"), ("E", "regexes")):
        of = [row for row in rows if row.kind == kind and row.read]
        vain = 100 * sum(row.vain for row in of) / max(1, sum(row.read for row in of))
        sizes = [row.bytes / 1e6 for row in of]
        print(f"{name}: decoded p50 {percentile(sizes, 0.5):.1f} MB, p95 {percentile(sizes, 0.95):.1f} MB, {vain:.0f} % of documents in vain")
    for name, of in (("with hits", [row for row in rows if row.lines]), ("without", [row for row in rows if not row.lines])):
        inside, cpu = (percentile([getattr(row, field) for row in of] or [0], 0.95) for field in ("inside", "cpu"))
        print(f"{len(of)} queries {name}: p95 {inside:.1f} ms inside the process, {cpu * 1e9 / raw:.1f} ms of processors a GB")
    cold = []
    for _ in range(3):
        drop_cache(archive)
        cold.append(clock([common.BIN, "--archive", archive, "search", common.FLAG[SELECTIVE[0]], SELECTIVE[1]])[0])
    print(f"cold, nothing found: {statistics.median(cold):.0f} ms; peak memory {memory:.0f} MB")


if __name__ == "__main__":
    main()
