#!/usr/bin/env python3
"""The fault matrix: every kind of fault alone, then all together, and after each the archive beside the truth.

Each row is one simulated GitLab whose answers are damaged by one kind of fault with probability P. `jobvault sync` runs until it
has nothing left to get, at most RUNS times; then the faults stop, nothing else is fetched, and every obtainable log is compared
by SHA-256. The exit code has to be 0 where all is archived and 3 where the report names what is not; a log that is not the
server's has to be named too. No run may stand still for 60 seconds.
"""
from common import Bounds, Compared, Simulator, Synced, Table, arguments, tmp

# (fault, it costs waiting)
KINDS = [
    ("latency,ms=100,jitter=400", True), ("status,status=502", False), ("status,status=500,body=json", False), ("status,status=503,retry_after=1", True),
    ("rate-limited,retry_after=1", True), ("rate-limited,retry_after=1,date=1", True), ("rate-limited,no_retry_after=1", True),
    ("reset", False), ("close", False), ("hang,ms=2000", True), ("slow-headers,ms=2", True), ("slow-body,bps=20000", True),
    ("cut,mode=length", False), ("cut,mode=chunked", False), ("cut,mode=length,how=reset", False), ("stall,ms=1500", True),
    ("truncate-json", False), ("wrong-length,delta=7", False), ("wrong-length,delta=-7", False), ("gzip", False), ("br", False), ("bad-gzip", False),
    ("drift,n=2", False), ("vanish,route=trace", False), ("mutate-trace", False), ("unauthorized", False), ("revoke,ms=300,max=5", True),
    ("maintenance,status=503", False), ("maintenance,status=200", False), ("redirect", False), ("redirect,to=loop", False), ("redirect,to=localhost", False),
    ("duplicate-keys", False), ("unknown-fields", False), ("new-status", False), ("big-numbers", False), ("null-fields", False),
    ("deep-json", False), ("huge-field,bytes=2000000", True), ("trailing-garbage", False), ("invalid-utf8", False), ("empty-body", False),
    ("wrong-type", False), ("no-paging-headers", False), ("next-loop", False),
]
# What no client can notice, and why. Rows of these may end with logs that are not the server's.
BLIND = {
    "mutate-trace": "same length, plain 200: GitLab sends no checksum of a log, so the first answer is believed",
    "wrong-length,delta=-7": "where no length is announced in the job (no trace artifact), a shorter Content-Length is a shorter log",
    "vanish,route=trace": "the job is gone at the moment it is asked for: vanished, not missing",
}
RUNS = 4
# A token that is refused for this long may end a run.
REFUSED = "revoke"


class Row:
    def __init__(self, jobs, faults, seed):
        self.may_exit = (0, 2, 3) if any(fault.startswith(REFUSED) for fault in faults) else (0, 3)
        flags = [flag for fault in faults for flag in ("--fault", fault)]
        archive = tmp() / "archive"
        with Simulator("--generate", jobs, "--projects", 3, "--active", 0, "--seed", seed, *flags) as sim:
            self.runs, self.seconds, self.cpu, self.hung, self.panicked, self.exits = 0, 0.0, 0.0, False, False, []
            while self.runs < RUNS:
                last = Synced(archive, sim)
                self.runs += 1
                self.seconds, self.cpu = self.seconds + last.seconds, self.cpu + last.cpu
                self.hung, self.panicked = self.hung or last.hung, self.panicked or last.panicked
                self.exits.append(last.exit)
                if last.hung or last.exit == 0:
                    break
            self.last = last
            self.hits = sum(sim.stats()["faults"].values())
            sim.post("/sim/faults", {"clear": True})
            self.compared = Compared(archive, sim.truth())

    def report_right(self):
        """Whether exit code and report say what is so: nothing left out in silence."""
        left = self.compared.missing or self.compared.doubted or self.compared.unlisted
        named = len(self.last.said.get("failed", [])) > 0
        return all(code in self.may_exit for code in self.exits) and self.exits[-1] == (3 if named else 0) and (not left or named)


def main():
    given = arguments(
        __doc__,
        ("--jobs", 300, "jobs of each row"), ("--slow-jobs", 100, "jobs of a row whose kind costs waiting"),
        ("--p", 0.2, "probability of a fault alone"), ("--p-all", 0.02, "and of each of all together"),
        ("--only", None, "only kinds that begin so, comma-separated; `all` for the row of all together"), ("--seed", 1, "of the simulator"),
    )
    only = [kind for kind in given.only.split(",") if kind]
    bounds, table = Bounds(), Table("fault                          ", "jobs ", "faults ", "runs", "exits   ", "wall s ", "cpu s", "equal to the truth     ", "holds")

    def row(name, faults, jobs, blind):
        got = Row(jobs, faults, given.seed)
        compared = got.compared
        holds = not got.hung and not got.panicked and got.report_right() and (blind or (not compared.altered and not compared.doubted)) and not compared.missing and not compared.unlisted
        verdict = bounds.check(holds, f"{name}: {compared}, exits {got.exits}{', hung' if got.hung else ''}{', panicked' if got.panicked else ''}")
        table.row(name, jobs, got.hits, got.runs, ",".join(map(str, got.exits)), got.seconds, got.cpu, compared, verdict)
        if verdict != "ok":
            print(got.last.messages[-600:], [failure["reason"] for failure in got.last.said.get("failed", [])][:3])

    for kind, slow in KINDS:
        if only and not any(kind.startswith(prefix) for prefix in only):
            continue
        row(kind, [f"{kind},p={given.p}"], given.slow_jobs if slow else given.jobs, kind in BLIND)
    if not only or "all" in only:
        together = [f"{kind},p={given.p_all}" for kind, _ in KINDS if not kind.startswith("vanish")]
        row(f"all, each p = {given.p_all}", together, given.slow_jobs, False)
    print("\nwhat no client can notice:")
    for kind, why in BLIND.items():
        print(f"  {kind}: {why}")
    bounds.done()


if __name__ == "__main__":
    main()
