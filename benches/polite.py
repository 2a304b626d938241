#!/usr/bin/env python3
"""Whether requests keep away after a 429, seen by a recording proxy between `jobvault sync` and a simulator with a rate limit.

An episode begins with a 429 and ends when its Retry-After has passed (the latest, where more follow). A request that was sent
before the client had the 429 is no fault; of those there are at most as many as were under way, concurrency - 1. A request sent
after the client had it and before the time has passed is one, and there may be none.
"""
from common import Bounds, Compared, Simulator, Synced, Table, arguments, tmp
from proxy import Proxy

# What a busy machine may take to hand a request on that was sent before the client had read the refusal.
SLACK = 0.5


def episodes(proxy):
    """For each episode: requests that came while it lasted, those among them that were sent knowingly."""
    found, until, began = [], 0.0, 0.0
    events = sorted([(at, None) for at, _, _ in proxy.came] + proxy.refused, key=lambda event: event[0])
    for at, wait in events:
        if wait is not None:
            if at >= until:
                found.append([0, 0])
                began = at
            until = max(until, at + wait)
        elif at < until - SLACK and found:
            found[-1][0] += 1
            found[-1][1] += at > began + SLACK
    return found


def main():
    given = arguments(
        __doc__, ("--jobs", 350, "jobs"), ("--limits", "200/min,300/min,200/min:window", "rate limits, comma-separated"), ("--concurrency", 8, "requests under way at once")
    )
    bounds = Bounds()
    table = Table("limit          ", "requests", "429s", "episodes", "most early in one", "sent knowing better", "wall s", "requests/s", "equal  ", "holds")
    for limit in given.limits.split(","):
        archive = tmp() / "archive"
        with Simulator("--generate", given.jobs, "--projects", 2, "--active", 0, "--rate-limit", limit) as sim:
            proxy = Proxy(int(sim.url.rsplit(":", 1)[1]))
            got = Synced(archive, sim, "--concurrency", given.concurrency, host=f"http://127.0.0.1:{proxy.port}")
            compared = Compared(archive, sim.truth())
            proxy.server.close()
        met = episodes(proxy)
        early, knowing = max((episode[0] for episode in met), default=0), sum(episode[1] for episode in met)
        holds = got.exit == 0 and compared.good() and early <= given.concurrency - 1 and knowing == 0
        verdict = bounds.check(holds, f"{limit}: exit {got.exit}, {early} early requests in one episode, {knowing} knowing better, {compared}")
        table.row(limit, len(proxy.came), len(proxy.refused), len(met), early, knowing, got.seconds, f"{len(proxy.came) / got.seconds:.1f}", compared, verdict)
    bounds.done()


if __name__ == "__main__":
    main()
