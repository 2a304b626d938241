#!/usr/bin/env python3
"""Measures a first sync: speed, processor, memory, size: sync.py CORPUS

Client and loopback server share the machine; the processor time is the client's alone. gzip -9 compresses each log
by itself, in this run.
"""
import gzip, json, os, resource, subprocess, sys, time
import common


def main():
    corpus = sys.argv[1]
    common.build()
    archive = common.tmp() / "archive"
    with common.Loopback(corpus) as server:
        command = [common.BIN, "--archive", archive, "sync", "--json", "--host", server.url, *server.projects]
        start = time.perf_counter()
        run = subprocess.run(command, env=dict(os.environ, GITLAB_TOKEN=server.token), stdout=subprocess.PIPE, check=True)
        took = time.perf_counter() - start
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    stats = json.loads(run.stdout.splitlines()[-1])
    raw = stats["raw_bytes"]
    print(f"{stats['archived']} jobs, {raw / 1e6:.1f} MB in {took:.1f} s: {stats['archived'] / took:.0f} jobs/s, {raw / 1e6 / took:.0f} MB/s; {common.machine()}")
    zipped = sum(len(gzip.compress(log.read_bytes(), 9)) for log in common.logs(corpus))
    parts = {part: common.size(archive / part) for part in ("packs", "index")}
    parts["catalogue"] = sum(f.stat().st_size for f in archive.glob("catalogue*"))
    whole = sum(parts.values())
    for part, size in parts.items():
        print(f"{part:10} {size / 1e6:8.1f} MB  {100 * size / raw:5.2f} % of raw")
    print(f"{'together':10} {whole / 1e6:8.1f} MB  {100 * whole / raw:5.2f} % of raw; gzip -9 {zipped / 1e6:.1f} MB: {zipped / whole:.2f}x")
    print(f"peak memory of the largest process (builds and server included) {used.ru_maxrss / 1024:.0f} MB")


main()
