#!/usr/bin/env python3
"""Servers as they are met: late traces, no totals, other answers for a missing log, compression, storage elsewhere, old versions.

Each row is one simulated server; the archive has to end equal to the truth. Where traces are completed late, the clock is moved
past the archiving and `sync` runs once more: its second look has to find the late end.
"""
import json
from datetime import datetime, timedelta

from common import Bounds, Compared, Simulator, Synced, Table, arguments, jobvault, tmp

# (name, flags of the simulator, flags of sync, seconds the clock moves on before each further sync)
SERVERS = [
    ("traces archived late, 3 in 10 flushed late", ["--archive-lag", 120, "--late-flush", 0.3, "--arrivals", 600, "--time-scale", 30], [], [150, 700]),
    ("no totals in job lists", ["--totals", "not-jobs"], [], []),
    ("totals always", ["--totals", "always"], [], []),
    ("no trace is 404", ["--no-trace", "404"], [], []),
    ("compressing proxy", ["--nginx-gzip"], [], []),
    ("object storage", ["--object-storage"], [], []),
    ("object storage that ignores tokens", ["--object-storage", "--s3-ignore-private-token"], [], []),
    ("under a path", ["--relative-root", "/gitlab"], [], []),
    ("no Etag, short keep-alive", ["--no-etag", "--keep-alive", 1], [], []),
    ("offset limit, no pipelines", ["--offset-limit", 1000], ["--no-pipelines"], []),
    ("2021: no keyset, totals, old version", ["--gitlab-version", "13.12.15", "--totals", "always", "--fault", "no-paging-headers,route=jobs,url=keyset"], [], []),
    ("2021: duplicate keys in jobs", ["--gitlab-version", "13.12.15", "--fault", "duplicate-keys"], [], []),
    ("2021: nulls where values are", ["--gitlab-version", "13.12.15", "--fault", "null-fields"], [], []),
    ("canceling, running", ["--graceful-cancel", "--active", 40, "--time-scale", 60], [], [3600]),
]


def main():
    given = arguments(__doc__, ("--jobs", 300, "jobs of each server"), ("--only", None, "only servers whose name begins so"))
    bounds, table = Bounds(), Table("server                                      ", "syncs", "exits  ", "requests", "wall s", "equal to the truth   ", "late ends", "holds")
    for name, flags, sync_flags, steps in SERVERS:
        if given.only and not name.startswith(given.only):
            continue
        archive = tmp() / "archive"
        active = [] if "--active" in flags else ["--active", 0]
        with Simulator("--generate", given.jobs, "--projects", 3, *active, *flags) as sim:
            host = sim.url + (flags[flags.index("--relative-root") + 1] if "--relative-root" in flags else "")
            runs, lengths, late = [], {}, set()
            for seconds in [None, *steps]:
                if seconds:
                    # From here on the clock stands still but for our steps, so that all that ends has ended.
                    sim.post("/sim/clock", {"scale": 0})
                    sim.post("/sim/clock", {"advance": seconds})
                runs.append(Synced(archive, sim, *sync_flags, host=host))
                now = lengths_of(archive)
                late |= {job for job, bytes in now.items() if (lengths.get(job) or bytes or 0) < (bytes or 0)}
                lengths = now
            # What ended just now may be archived tomorrow.
            until = before(sim.get("/sim/clock")["now"], 200) if steps else None
            compared = Compared(archive, sim.truth(), until)
        exits = [run.exit for run in runs]
        holds = compared.good() and all(code == 0 for code in exits) and (late or "--late-flush" not in flags)
        verdict = bounds.check(holds, f"{name}: exits {exits}, {compared}, {len(late)} late ends; {runs[-1].messages[-200:]}")
        table.row(name, len(runs), ",".join(map(str, exits)), sum(run.requests for run in runs), sum(run.seconds for run in runs), compared, len(late), verdict)
    bounds.done()


def lengths_of(archive):
    rows = map(json.loads, jobvault(archive, "jobs", "--json", "--limit", 10**9).stdout.splitlines())
    return {row["job"]: row["raw_bytes"] for row in rows}


def before(text, seconds):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00")) - timedelta(seconds=seconds)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"


if __name__ == "__main__":
    main()
