#!/usr/bin/env python3
"""Processor time of what an archive does, and what showing a part of a long log costs: cores.py CORPUS

MB of raw logs a second of processor time (user and system, all threads): of the client of a first sync, of making the
index anew (which decodes all logs), of compact, of verify (which decodes and hashes all) before and after it, with gzip
-6 and gunzip of each log as yardsticks in the same run. Then `show` of 100 lines in the middle of a log of 100 MB, whole processes:
milliseconds, and bytes that it reads.
"""
import json, os, re, subprocess, sys, time, zlib
import common

LONG = 100_000_000  # bytes of the long log
SHOWS = 21


def cpu():
    times = os.times()
    return times.children_user + times.children_system


def spent(archive, *args, token=""):
    before = cpu()
    run = common.jobvault(archive, *args, token=token, ok=(0,))
    return cpu() - before, run


def zipped(logs):
    pack = unpack = 0.0
    for log in logs:
        data = log.read_bytes()
        start = time.process_time()
        small = zlib.compress(data, 6)
        middle = time.process_time()
        zlib.decompress(small)
        pack, unpack = pack + middle - start, unpack + time.process_time() - middle
    return pack, unpack


def synced(corpus):
    archive = common.tmp() / "archive"
    with common.Loopback(corpus) as server:
        took, run = spent(archive, "sync", "--json", "--host", server.url, *server.projects, token=server.token)
    return archive, took, json.loads(run.stdout.splitlines()[-1])["raw_bytes"]


def work(corpus):
    archive, sync, raw = synced(corpus)
    pack, unpack = zipped(common.logs(corpus))
    rows = [("sync", sync), ("reindex", spent(archive, "reindex")[0]), ("verify", spent(archive, "verify")[0])]
    rows += [("compact", spent(archive, "compact", "--grace", "0s")[0]), ("verify after it", spent(archive, "verify")[0])]
    rows += [("gzip -6", pack), ("gunzip", unpack)]
    for name, seconds in rows:
        print(f"{name:16} {seconds:7.2f} s  {raw / 1e6 / seconds:7.0f} MB/s a core")


def show(corpus):
    """100 lines in the middle of one log made of all others."""
    place = common.tmp()
    log = place / "group__project" / "job" / "00001.log"
    log.parent.mkdir(parents=True)
    with log.open("wb") as out:
        while out.tell() < LONG:
            for part in common.logs(corpus):
                out.write(part.read_bytes()[:LONG - out.tell()])
    archive = synced(place)[0]
    job = json.loads(common.jobvault(archive, "jobs", "--json").stdout.splitlines()[0])["job"]
    middle = log.read_bytes().count(b"\n") // 2
    command = [str(common.BIN), "--archive", str(archive), "show", str(job), "--lines", f"{middle}:{middle + 99}"]
    times = []
    for _ in range(SHOWS):
        start = time.perf_counter()
        shown = subprocess.run(command, check=True, capture_output=True).stdout
        times.append(1000 * (time.perf_counter() - start))
    # What a shell's children read is counted as its own once they have ended.
    script = '"$@" >/dev/null; read="$(cat /proc/$$/io)"; echo "$read"'
    said = subprocess.run(["sh", "-c", script, "sh", *command], check=True, capture_output=True, text=True).stdout
    read = int(re.search(r"rchar: (\d+)", said)[1])
    print(f"show: {len(shown.splitlines())} lines in the middle of {LONG / 1e6:.0f} MB, p50 {sorted(times)[SHOWS // 2]:.1f} ms, "
          f"worst {max(times):.1f} ms, {read / 1e6:.2f} MB read (programs and libraries included)")


def main():
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    common.build("traces")
    work(sys.argv[1])
    show(sys.argv[1])
    print(common.machine())


main()
