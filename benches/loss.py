#!/usr/bin/env python3
"""Soonest loss first, end to end: what is saved under a small budget of requests, beside what could have been.

The simulator's clock runs fast, its traces vanish when their artifacts expire, and its rate limit is too small to save all. A
clairvoyant that knows every deadline from the beginning is given the very moments at which `jobvault sync` asked for a trace, and
spends each on the job whose loss is nearest. One request at a time is under way: where days pass in seconds, a request that waits
behind others is a day late. What is saved of the threatened jobs has to come within two hundredths of that.
"""
import heapq, subprocess, time
from datetime import datetime

from common import SIM_TOKEN, Bounds, Simulator, Table, arguments, environment, sync_command, tmp
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
        __doc__, ("--jobs", 1000, "jobs"), ("--rate", 1.5, "requests a second that the server allows"), ("--days", 30.0, "days of the simulated clock"),
        ("--seconds", 120.0, "and in how many seconds they pass"), ("--seeds", "1,2", "of the simulator"),
    )
    bounds = Bounds()
    table = Table("seed", "threatened", "asked for in time", "clairvoyant", "part  ", "moments", "holds")
    for seed in given.seeds.split(","):
        scale = given.days * 86400 / given.seconds
        flags = ["--projects", 3, "--active", 0, "--history-days", 3, "--seed", seed, "--expire-traces", "--rate-limit", f"{given.rate}/s", "--time-scale", 0]
        with Simulator("--generate", given.jobs, *flags) as sim:
            begin = seconds(sim.get("/sim/clock")["now"])
            truth = [told for told in sim.truth(sha=False) if told["complete"] and not told["erased"]]
            expiry = {told["id"]: seconds(told["artifacts_expire_at"]) for told in truth}
            threatened = {job: at for job, at in expiry.items() if at and begin < at < begin + given.days * 86400}
            proxy = Proxy(int(sim.url.rsplit(":", 1)[1]))
            archive = tmp() / "archive"
            started = time.monotonic()
            sim.post("/sim/clock", {"scale": scale})
            command = sync_command(archive, sim, "--concurrency", 1, "--rate", 0.95 * given.rate, host=f"http://127.0.0.1:{proxy.port}")
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(SIM_TOKEN))
            time.sleep(given.seconds)
            process.terminate()
            said = process.communicate()[1].decode(errors="replace")
            proxy.server.close()
        # What was refused for the rate limit was no moment to fetch anything.
        fetched = [(at, int(path.split("/")[-2])) for at, path, status in proxy.came if path.endswith("/trace") and status == 200]
        asked, moments = {}, []
        for at, job in sorted(fetched):
            if at - started <= given.seconds:
                moments.append(begin + (at - started) * scale)
                asked.setdefault(job, moments[-1])
        saved = sum(job in asked and asked[job] < at for job, at in threatened.items())
        best = clairvoyant(threatened.values(), moments)
        part = saved / best if best else 1.0
        holds = process.returncode in (0, 3) and part >= 0.98 and best < len(threatened)
        verdict = bounds.check(holds, f"seed {seed}: {saved} of {best} ({len(threatened)} threatened), exit {process.returncode}: {said[-200:]}")
        table.row(seed, len(threatened), saved, best, f"{100 * part:.1f} %", len(moments), verdict)
    bounds.done()


if __name__ == "__main__":
    main()
