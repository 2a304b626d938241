#!/usr/bin/env python3
"""Requests for each finished job of a first sync, and of a round in which nothing changed; as the simulator counted them.

Bounds: 1.02 a finished job, and one more for each pipeline, which is the price of its bridges; an idle round one a project.
"""
from common import Bounds, Simulator, Synced, Table, arguments, tmp

PER_JOB = 1.02
PER_PIPELINE = 1.0
BRIDGES = ("pipelines", "pipeline", "bridges")


def main():
    given = arguments(__doc__, ("--jobs", 4000, "jobs"), ("--projects", 10, "projects"))
    bounds, table = Bounds(), Table("round          ", "requests", "for pipelines", "a finished job, or a project", "bound", "wall s", "cpu s", "holds")
    archive = tmp() / "archive"
    with Simulator("--generate", given.jobs, "--projects", given.projects, "--active", 0, "--totals", "not-jobs") as sim:
        first = Synced(archive, sim)
        stats = sim.stats()
        finished = sum(told["complete"] for told in sim.truth(sha=False))
        routes = {name: sum(statuses.values()) for name, statuses in stats["routes"].items()}
        pipes = sum(routes.get(name, 0) for name in BRIDGES)
        each = (stats["requests"] - min(pipes, int(PER_PIPELINE * sim.info["pipelines"]))) / finished
        holds = first.exit == 0 and each <= PER_JOB
        table.row("first", stats["requests"], f"{pipes} of {sim.info['pipelines']}", f"{each:.3f}", PER_JOB, first.seconds, first.cpu, bounds.check(holds, f"{each:.3f} requests a finished job"))
        for name in ("idle", "idle again"):
            sim.post("/sim/reset", {"data": False})
            idle = Synced(archive, sim)
            each = sim.stats()["requests"] / given.projects
            holds = idle.exit == 0 and each <= 1
            table.row(name, sim.stats()["requests"], "", f"{each:.2f}", 1, idle.seconds, idle.cpu, bounds.check(holds, f"{each:.2f} requests a project in an {name} round"))
        print("routes of the first round:", ", ".join(f"{name} {count}" for name, count in sorted(routes.items())))
    bounds.done()


if __name__ == "__main__":
    main()
