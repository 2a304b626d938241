#!/usr/bin/env python3
"""Sizes of an archive against other ways to keep logs, each measured in this run: store.py [--full] CORPUS...

A CORPUS holds <group>__<project>/<job>/<NNNNN>.log (and .json). Each <job> directory is a source with an archive of
its own; the last row is all sources in one archive. gzip, zstd and xz compress each log by itself; restic backs the
plain files up with its strongest compression. Ratios are against gzip -9. jobvault's sizes are packs + index +
catalogue. Without --full a few sources of different sizes are measured. Needs zstd; restic and its column are left out
where it is missing.
"""
import lzma, os, shutil, subprocess, sys, zlib
from pathlib import Path
import common

QUICK = 6  # Sources measured without --full, evenly chosen by size.
QUICK_BYTES = range(1 << 20, 24 << 20)  # Others are left out then: of a tiny one only fixed costs would show.
HEAD = f"{'source':44} {'logs':>5} {'raw MB':>8} {'gzip -9':>8} {'zstd':>6} {'xz':>6} {'restic':>6}"
HEAD += f" | {'sync':>6} {'packs':>7} {'index':>7} {'catal.':>7} | {'compact':>7} {'packs':>7} {'index':>7} {'catal.':>7}"


def sources(corpora):
    found = {}
    for corpus in map(Path, corpora):
        for log in common.logs(corpus):
            found.setdefault((corpus, log.parent.relative_to(corpus)), []).append(log)
    return [(f"{place.parts[0].split('__')[-1]}/{'/'.join(place.parts[1:])}", corpus, [place], logs) for (corpus, place), logs in found.items()]


def chosen(all_sources):
    by_size = sorted((s for s in all_sources if raw(s) in QUICK_BYTES), key=raw)
    step = (len(by_size) - 1) / (QUICK - 1) if len(by_size) > QUICK else 1
    return [by_size[round(i * step)] for i in range(min(QUICK, len(by_size)))]


def raw(source):
    return sum(log.stat().st_size for log in source[3])


def link(parts, to):
    """Lays out the sources as links, or copies where links cannot be."""
    for _, corpus, places, _ in parts:
        for place in places:
            for file in sorted((corpus / place).iterdir()):
                if file.suffix in (".log", ".json"):
                    target = to / place / file.name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    try:
                        os.link(file, target)
                    except OSError:
                        shutil.copy(file, target)


def gzip9(data):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return len(packer.compress(data)) + len(packer.flush())


def zstd19(logs):
    out = common.tmp()
    total = 0
    for i in range(0, len(logs), 500):  # One process for many logs.
        subprocess.run(["zstd", "-19", "-q", "--no-progress", "--output-dir-mirror", out, *logs[i:i + 500]], check=True)
        total += common.size(out)
        shutil.rmtree(out)
    return total


def restic(directory):
    if not shutil.which("restic"):
        return None
    repo = common.tmp() / "restic"
    env = dict(os.environ, RESTIC_PASSWORD="x", RESTIC_REPOSITORY=str(repo), RESTIC_CACHE_DIR=str(common.tmp()))
    subprocess.run(["restic", "init", "-q"], env=env, check=True)
    logs = [str(log) for log in common.logs(directory)]
    command = ["restic", "backup", "-q", "--compression", "max", "--files-from-raw", "/dev/stdin"]
    subprocess.run(command, env=env, input=b"".join(log.encode() + b"\0" for log in logs), check=True)
    return common.size(repo)


def parts(archive):
    # Beside the catalogue a reader leaves the memory that SQLite's processes share; it holds nothing.
    catalogue = [f for f in archive.glob("catalogue*") if not f.name.endswith("-shm")]
    return [common.size(archive / "packs"), common.size(archive / "index"), sum(f.stat().st_size for f in catalogue)]


def measure(name, group):
    directory = common.tmp()
    link(group, directory)
    logs = common.logs(directory)
    row = {"name": name, "logs": len(logs), "raw": 0, "gzip": 0, "xz": 0}
    for log in logs:
        data = log.read_bytes()
        row["raw"] += len(data)
        row["gzip"] += gzip9(data)
        row["xz"] += len(lzma.compress(data, preset=6))
    row["zstd"], row["restic"] = zstd19(logs), restic(directory)
    archive, said = common.sync(directory)
    if said["raw_bytes"] != row["raw"]:
        print(f"{name}: {row['raw']} bytes were given and {said['raw_bytes']} archived", file=sys.stderr)
    row["sync"] = parts(archive)
    common.jobvault(archive, "compact", "--grace", "0s")
    common.jobvault(archive, "verify", ok=(0,))
    row["compact"] = parts(archive)
    shutil.rmtree(archive)
    shutil.rmtree(directory)
    return row


def show(row):
    mb = lambda size: f"{size / 1e6:7.2f}"
    ratio = lambda size: f"{row['gzip'] / size:5.2f}x" if size else "     -"
    jobvault = (f"{ratio(sum(row[when])):>{width}} " + " ".join(map(mb, row[when])) for when, width in (("sync", 6), ("compact", 7)))
    print(f"{row['name'][:44]:44} {row['logs']:5} {row['raw'] / 1e6:8.2f} {row['gzip'] / 1e6:8.2f} {ratio(row['zstd'])} {ratio(row['xz'])} "
          f"{ratio(row['restic'])} | " + " | ".join(jobvault), flush=True)


def main():
    corpora = [arg for arg in sys.argv[1:] if arg != "--full"]
    if not corpora:
        raise SystemExit(__doc__)
    found = sources(corpora)
    group = found if "--full" in sys.argv else chosen(found)
    common.build()
    print(f"{len(group)} of {len(found)} sources; sizes in MB, ratios against gzip -9; {common.machine()}\n{HEAD}")
    for source in sorted(group, key=lambda source: source[0]):
        show(measure(source[0], [source]))
    show(measure("all of them in one archive", group))


main()
