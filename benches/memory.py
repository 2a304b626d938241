#!/usr/bin/env python3
"""Peak memory of a first sync: of a whole one, and of the first walk over a great many jobs.

The second is stopped (SIGTERM) when so many traces were fetched; what is measured is listing and queueing beside archiving, and how
soon after the first page of a job list the first trace is asked for.
"""
import subprocess, tempfile, time

from common import SIM_TOKEN, Bounds, Simulator, Synced, Table, arguments, environment, peak_bytes, sync_command, tmp

MEGA = 1_000_000


def whole(given, bounds, table):
    with Simulator("--generate", given.jobs, "--projects", given.projects, "--active", 0) as sim:
        got = Synced(tmp() / "archive", sim)
        peak = got.peak_bytes / MEGA
        holds = got.exit == 0 and peak <= given.bound
        verdict = bounds.check(holds, f"whole sync: exit {got.exit}, {peak:.0f} MB of {given.bound}")
        table.row("whole sync", given.jobs, got.archived, f"{peak:.0f}", given.bound, "", got.seconds, got.cpu, verdict)


def counted(sim, route):
    return sum(sim.stats()["routes"].get(route, {}).values())


def walk(given, bounds, table):
    with Simulator("--generate", given.walk_jobs, "--projects", given.walk_projects, "--active", 0) as sim, tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(sync_command(tmp() / "archive", sim), stdout=subprocess.DEVNULL, stderr=said, env=environment(SIM_TOKEN))
        page = trace = None
        peak, traces, pages = 0, 0, 0
        while process.poll() is None and traces < given.traces and time.perf_counter() - start < given.seconds:
            peak = max(peak, peak_bytes(process.pid) or 0)
            if trace is None:
                pages = counted(sim, "jobs")
                page = page or (pages and time.perf_counter())
                trace = counted(sim, "trace") and time.perf_counter() or None
                time.sleep(0.02)
            else:
                routes = sim.stats()["routes"]
                traces, pages = (sum(routes.get(name, {}).values()) for name in ("trace", "jobs"))
                time.sleep(0.5)
        took = time.perf_counter() - start
        ended = process.poll()
        process.terminate()
        process.wait(60)
        late = trace - page if trace and page else float("inf")
        peak /= MEGA
        holds = ended in (None, 0) and peak <= 200 and late <= 2
        verdict = bounds.check(holds, f"first walk: {peak:.0f} MB of 200, first trace {late:.2f} s after the first page, ended {ended}")
        table.row("first walk", given.walk_jobs, f"{traces} ({100 * pages} listed)", f"{peak:.0f}", 200, f"{late:.2f} s", took, "", verdict)


def main():
    given = arguments(
        __doc__, ("--jobs", 5000, "jobs of the whole sync"), ("--projects", 20, "and its projects"), ("--bound", 150, "its bound, in MB"),
        ("--walk-jobs", 100_000, "jobs of the walk"), ("--walk-projects", 50, "and its projects"), ("--traces", 5000, "traces until it is stopped"),
        ("--seconds", 3600, "or seconds, if they are over before"),
    )
    bounds = Bounds()
    table = Table("run       ", "jobs   ", "archived                ", "peak MB", "bound", "first trace after page", "wall s", "cpu s", "holds")
    whole(given, bounds, table)
    walk(given, bounds, table)
    bounds.done()


if __name__ == "__main__":
    main()
