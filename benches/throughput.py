#!/usr/bin/env python3
"""Speed of a first sync beside what people use instead, on the same simulator, in the same run.

  jobvault       lists, archives, compresses, indexes
  python-gitlab  the script in peers/: 16 threads, one gzip file a log; lists and fetches
  curl           `curl --parallel` with 16 connections, given the URLs of all finished jobs, then one gzip process for each log

Simulator and client share the machine, so beside jobs a second the client's own processor time for each job is told. Bounds:
five times as many jobs a second as python-gitlab, and less processor time for each job than curl with gzip.
"""
import resource, shutil, subprocess, sys, time
from pathlib import Path

from common import SIM_TOKEN, Bounds, Simulator, Synced, Table, arguments, size, tmp


class Ran:
    def __init__(self, commands, sim):
        before, server = resource.getrusage(resource.RUSAGE_CHILDREN), sim.cpu()
        start = time.perf_counter()
        for command in commands:
            done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, shell=isinstance(command, str))
            if done.returncode:
                raise SystemExit(f"{command if isinstance(command, str) else command[:3]}: exit {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
        self.seconds = time.perf_counter() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.server = sim.cpu() - server


def curl_commands(sim, truth, dir):
    jobs = [told for told in truth if told.get("complete")]
    config = dir / "urls"
    with config.open("w") as out:
        for told in jobs:
            out.write(f'url = "{sim.url}/api/v4/projects/{told["project_id"]}/jobs/{told["id"]}/trace"\noutput = "{dir}/{told["id"]}.log"\n')
    fetch = ["curl", "--silent", "--show-error", "--fail", "--parallel", "--parallel-max", "16", "--header", f"PRIVATE-TOKEN: {SIM_TOKEN}", "--config", str(config)]
    return len(jobs), [fetch, f"find {dir} -name '*.log' -print0 | xargs -0 -n 1 gzip"]


def main():
    given = arguments(__doc__, ("--jobs", 3000, "jobs"), ("--projects", 5, "projects"), ("--python", sys.executable, "a Python that has python-gitlab"))
    if not shutil.which("curl"):
        raise SystemExit("missing: curl")
    if subprocess.run([given.python, "-c", "import gitlab"], capture_output=True).returncode:
        raise SystemExit(f"missing: python-gitlab. Install it (`{given.python} -m pip install python-gitlab`, or into a virtual environment named by --python)")
    bounds, table = Bounds(), Table("client        ", "finished jobs", "wall s", "jobs/s", "client cpu s", "cpu ms/job", "server cpu s", "stored MB")
    with Simulator("--generate", given.jobs, "--projects", given.projects, "--active", 0) as sim:
        truth = sim.truth(sha=False)
        jobs = sum(told["complete"] for told in truth)
        results = {}

        def row(name, seconds, cpu, server, stored):
            results[name] = (jobs / seconds, cpu / jobs)
            table.row(name, jobs, seconds, f"{jobs / seconds:.0f}", cpu, f"{1000 * cpu / jobs:.2f}", server, f"{stored / 1e6:.1f}")

        archive, server = tmp() / "archive", sim.cpu()
        ours = Synced(archive, sim)
        if ours.exit:
            raise SystemExit(f"sync: exit {ours.exit}: {ours.messages[-300:]}")
        row("jobvault", ours.seconds, ours.cpu, sim.cpu() - server, size(archive))
        files = tmp()
        got = Ran([[given.python, Path(__file__).parent / "peers/python_gitlab.py", sim.url, SIM_TOKEN, files, *sim.projects]], sim)
        row("python-gitlab", got.seconds, got.cpu, got.server, size(files))
        files = tmp()
        count, commands = curl_commands(sim, truth, files)
        assert count == jobs
        got = Ran(commands, sim)
        row("curl, gzip", got.seconds, got.cpu, got.server, size(files))
    times = results["jobvault"][0] / results["python-gitlab"][0]
    bounds.check(times >= 5, f"{times:.1f} times the jobs a second of python-gitlab, not 5")
    bounds.check(results["jobvault"][1] < results["curl, gzip"][1], "less processor time for each job than curl and gzip")
    print(f"{times:.1f} times the jobs a second of python-gitlab; {results['curl, gzip'][1] / results['jobvault'][1]:.1f} times less processor time for each job than curl and gzip")
    bounds.done()


if __name__ == "__main__":
    main()
