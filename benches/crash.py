#!/usr/bin/env python3
"""Kills `jobvault sync` (SIGKILL) at random moments until it is done, then compares with the truth; full disk; read-only archive.

Bounds: the archive equals the truth, `verify` finds nothing, no byte is left unreferenced after `prune`, and what is fetched twice
is at most the work of one pack's age (5 s, at the rate of an undisturbed sync) for each kill.
"""
import os, random, resource, shutil, sqlite3, subprocess, time

from common import SIM_TOKEN, Bounds, Compared, Simulator, Synced, Table, arguments, environment, jobvault, size, sync_command, tmp

PACK_AGE = 5.0  # seconds; BATCH_AGE of the writer
GRACE = 2.0  # seconds a commit may take, and what is under way


def verified(archive):
    return jobvault(archive, "verify", ok=(0, 1, 2, 3)).returncode == 0


def unreferenced(archive):
    """Packs and temporary files that are left after `prune`."""
    jobvault(archive, "prune", "--yes")
    left = list((archive / "tmp").glob("*"))
    packs = {path.stem for path in (archive / "packs").rglob("*.pack")}
    with sqlite3.connect(f"file:{archive}/catalogue.sqlite?mode=ro", uri=True) as catalogue:
        known = {row[0].hex() if isinstance(row[0], bytes) else row[0] for row in catalogue.execute("SELECT name FROM packs")}
    return len(left) + len(packs - known)


def kills(given, bounds, table):
    archive, chance = tmp() / "archive", random.Random(given.seed)
    flags = ["--projects", 3, "--active", 0, "--latency", given.latency, "--seed", given.seed]
    with Simulator("--generate", given.jobs, *flags) as sim:
        alone = Synced(tmp() / "archive", sim)
        if alone.exit:
            raise SystemExit(f"an undisturbed sync fails: {alone.messages[-300:]}")
        rate = sim.stats()["traces_read_in_full"] / alone.seconds
        # Each life is long enough that packs close in some and in others do not.
        sim.post("/sim/reset", {"data": False})
        done = killed = 0
        start = time.perf_counter()
        while killed < given.kills:
            process = subprocess.Popen(sync_command(archive, sim), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment(SIM_TOKEN))
            try:
                _, said = process.communicate(timeout=chance.uniform(0.02, given.life))
                if process.returncode not in (0, 3):
                    raise SystemExit(f"sync fails after {killed} kills: {said.decode()[-300:]}")
                # All is archived: begin anew, for kills at other moments.
                done += 1
                compared = Compared(archive, sim.truth())
                bounds.check(compared.good(), f"after {killed} kills: {compared}")
                shutil.rmtree(archive)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                killed += 1
        last = Synced(archive, sim)
        read = sim.stats()
        twice = read["traces_read_in_full"] - read["distinct_traces_read_in_full"] - done * read["distinct_traces_read_in_full"]
        allowed = rate * (PACK_AGE + GRACE) * killed
        compared, clean = Compared(archive, sim.truth()), verified(archive)
        left = unreferenced(archive)
        holds = last.exit == 0 and compared.good() and clean and left == 0 and twice <= allowed
        verdict = bounds.check(holds, f"kill -9: {compared}, last exit {last.exit}, verify {clean}, {left} left over, {twice} fetched twice of {allowed:.0f}")
        took = time.perf_counter() - start
        table.row("kill -9", f"{killed} kills, {done + 1} syncs", compared, "clean" if clean else "DAMAGED", left, f"{twice} ({twice / max(1, killed):.1f} a kill, allowed {rate * (PACK_AGE + GRACE):.0f})", f"{took:.0f} s", verdict)


class SmallDisk:
    """A tmpfs of some megabytes where that may be mounted, else a limit on the size of each file."""

    def __init__(self, megabytes):
        self.place = tmp()
        self.mounted = not subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", self.place], capture_output=True).returncode
        self.limit = megabytes * 1024 * 1024 // 16

    def more(self, megabytes):
        if self.mounted:
            subprocess.run(["mount", "-o", f"remount,size={megabytes}m", self.place], check=True)

    def limited(self):
        if not self.mounted:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.limit, self.limit))

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", self.place], check=False)


def full_disk(given, bounds, table):
    flags = ["--generate", given.jobs, "--projects", 3, "--active", 0]
    whole = tmp() / "archive"
    with Simulator(*flags) as sim:
        Synced(whole, sim)
    megabytes = max(3, int(0.4 * size(whole) / 1e6))
    disk = SmallDisk(megabytes)
    archive = disk.place / "archive"
    try:
        with Simulator(*flags) as sim:
            full = subprocess.run(sync_command(archive, sim), capture_output=True, env=environment(SIM_TOKEN), preexec_fn=disk.limited, timeout=600)
            said = full.stderr.decode(errors="replace").strip().splitlines()
            clear = full.returncode == 2 and any(word in " ".join(said).lower() for word in ("no space left", "file too large", "disk is full", "database or disk is full"))
            readable = verified(archive) if disk.mounted else True
            disk.more(2048)
            last = Synced(archive, sim)
            compared, clean = Compared(archive, sim.truth()), verified(archive)
            left = unreferenced(archive)
        holds = clear and readable and last.exit == 0 and compared.good() and clean and left == 0
        how = f"tmpfs of {megabytes} MB" if disk.mounted else f"files of at most {disk.limit >> 20} MB"
        verdict = bounds.check(holds, f"full disk ({how}): exit {full.returncode}, {said[-1:]}, verify while full {readable}, then exit {last.exit}, {compared}, verify {clean}, {left} left over")
        table.row("full disk", how, compared, "clean" if clean else "DAMAGED", left, f"said: {said[0][:90] if said else ''}", "", verdict)
    finally:
        disk.close()


def read_only(given, bounds, table):
    place = tmp()
    mounted = not subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], capture_output=True).returncode
    archive = place / "archive"
    try:
        with Simulator("--generate", 200, "--projects", 1, "--active", 0) as sim:
            first = Synced(archive, sim)
            lock(place, archive, mounted)
            refused = Synced(archive, sim)
            readable = jobvault(archive, "status", ok=(0, 1, 2, 3)).returncode == 0 and verified(archive)
            unlock(place, archive, mounted)
            last = Synced(archive, sim)
            compared = Compared(archive, sim.truth())
        lines = refused.messages.strip().splitlines()
        # A super-user writes whatever the permissions say.
        meant = mounted or os.geteuid() != 0
        holds = not meant or (first.exit == 0 and refused.exit == 2 and readable and last.exit == 0 and compared.good())
        verdict = bounds.check(holds, f"read-only: exits {first.exit}, {refused.exit}, {last.exit}, readable {readable}, {compared}, said {lines[:2]}")
        table.row("read-only", "tmpfs" if mounted else "permissions", compared, "", "", f"said: {lines[0][:90] if lines else ''}", "", verdict if meant else "not tried: no mount, and root")
    finally:
        if mounted:
            subprocess.run(["umount", "-l", place], check=False)


def lock(place, archive, mounted):
    if mounted:
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
    else:
        subprocess.run(["chmod", "-R", "a-w", archive], check=True)


def unlock(place, archive, mounted):
    if mounted:
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
    else:
        subprocess.run(["chmod", "-R", "u+w", archive], check=True)


def main():
    given = arguments(
        __doc__, ("--jobs", 1500, "jobs of the simulator"), ("--kills", 30, "kills"), ("--life", 8.0, "seconds a sync lives at most"),
        ("--latency", 15, "milliseconds before each answer"), ("--seed", 1, "of the moments"),
    )
    bounds, table = Bounds(), Table("trouble  ", "how                 ", "equal to the truth", "verify", "left over", "fetched twice, or what was said          ", "took ", "holds")
    kills(given, bounds, table)
    full_disk(given, bounds, table)
    read_only(given, bounds, table)
    bounds.done()


if __name__ == "__main__":
    main()
