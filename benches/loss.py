#!/usr/bin/env python3
"""Soonest loss first, end to end: what is saved under a small budget of requests, beside what could have been.

The simulator's clock runs fast, its traces vanish when their artifacts expire, and its rate limit is too small to save all. A
clairvoyant that knows every deadline from the beginning is given the very moments at which `jobvault sync` asked for a trace, and
spends each on the job whose loss is nearest. What is saved of the threatened jobs has to come within two hundredths of that.
"""
import heapq, threading, time
from datetime import datetime

from common import Bounds, Simulator, Synced, Table, arguments, tmp
from proxy import Proxy


def seconds(text):
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


def clairvoyant(deadlines, moments):
    """How many of the jobs with these deadlines can be asked for in time: a moment for each, the nearest loss first."""
    waiting, saved = sorted(deadlines), 0
    heapq.heapify(waiting)
    for moment in sorted(moments):
        while waiting and waiting[0] <= moment:
            heapq.heappop(waiting)
        if not waiting:
            break
        heapq.heappop(waiting)
        saved += 1
    return saved


def main():
    given = arguments(
        __doc__, ("--jobs", 1500, "jobs"), ("--rate", 10, "requests a second that the server allows"), ("--days", 10.0, "days of the simulated clock"),
        ("--seconds", 60.0, "and in how many seconds they pass"), ("--seeds", "1,2", "of the simulator"),
    )
    bounds = Bounds()
    table = Table("seed", "threatened", "asked for in time", "clairvoyant", "part  ", "moments", "archived", "holds")
    for seed in given.seeds.split(","):
        scale = given.days * 86400 / given.seconds
        flags = ["--projects", 3, "--active", 0, "--seed", seed, "--expire-traces", "--rate-limit", f"{given.rate}/s", "--time-scale", 0]
        with Simulator("--generate", given.jobs, *flags) as sim:
            begin = seconds(sim.get("/sim/clock")["now"])
            truth = [told for told in sim.truth(sha=False) if told["complete"] and not told["erased"]]
            expiry = {told["id"]: seconds(told["artifacts_expire_at"]) for told in truth}
            threatened = {job: at for job, at in expiry.items() if at and begin < at < begin + given.days * 86400}
            proxy = Proxy(int(sim.url.rsplit(":", 1)[1]))
            archive = tmp() / "archive"
            started = time.monotonic()
            sim.post("/sim/clock", {"scale": scale})
            stop = threading.Timer(given.seconds, lambda: sim.post("/sim/clock", {"scale": 0}))
            stop.start()
            got = Synced(archive, sim, host=f"http://127.0.0.1:{proxy.port}")
            stop.join()
            proxy.server.close()
        asked = {}
        for at, path in proxy.came:
            parts = path.split("/")
            if parts[-1] == "trace":
                asked.setdefault(int(parts[-2]), begin + min(at - started, given.seconds) * scale)
        # Of a job asked for twice the first moment counts for it, and both for the clairvoyant.
        moments = [begin + (at - started) * scale for at, path in proxy.came if path.endswith("/trace") and at - started <= given.seconds]
        saved = sum(job in asked and asked[job] < at for job, at in threatened.items())
        best = clairvoyant(threatened.values(), moments)
        part = saved / best if best else 1.0
        holds = got.exit in (0, 3) and part >= 0.98 and best < len(threatened)
        verdict = bounds.check(holds, f"seed {seed}: {saved} of {best} ({len(threatened)} threatened), exit {got.exit}")
        table.row(seed, len(threatened), saved, best, f"{100 * part:.1f} %", len(moments), got.archived, verdict)
    bounds.done()


if __name__ == "__main__":
    main()
