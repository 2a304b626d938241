"""What the benchmarks share: building, the two servers, running jobvault, comparing with the truth, tables."""
import argparse, atexit, hashlib, json, os, shutil, subprocess, sys, tempfile, threading, time, urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BIN = Path(os.environ.get("JOBVAULT", TARGET / "release/jobvault"))
FLAG = {"F": "-F", "E": "-e"}  # how a query of a file is given to `jobvault search`
SIM_TOKEN = "glpat-sim"


def build(*examples):
    which = [flag for name in examples for flag in ("--example", name)] or ["--examples"]
    subprocess.run(["cargo", "build", "--release", "--bins", *which, "--quiet"], cwd=ROOT, check=True)


def tmp():
    path = Path(tempfile.mkdtemp(prefix="jobvault-bench-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def logs(corpus):
    """All logs of a corpus directory (<group>__<project>/<job>/<NNNNN>.log), in the order of their paths."""
    return sorted(Path(corpus).rglob("*.log"))


class Loopback:
    """The example `loopback`, serving a directory of logs."""

    def __init__(self, corpus):
        self.process = subprocess.Popen([TARGET / "release/examples/loopback", corpus], stdout=subprocess.PIPE, text=True)
        info = json.loads(self.process.stdout.readline())
        self.url, self.token, self.projects = info["url"], info["token"], [str(p) for p in info["projects"]]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Simulator:
    """A simulator of GitLab's API: a Node.js program named by JOBVAULT_SIMULATOR or --simulator.

    It prints one line of JSON (`url`, `projects`) and then serves; besides the API it tells the truth (/sim/truth), what it
    was asked (/sim/stats), and takes orders (/sim/faults, /sim/clock).
    """
    path = os.environ.get("JOBVAULT_SIMULATOR", "")

    def __init__(self, *args):
        command = ["node", Simulator.path, "--port", "0", *map(str, args)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"the simulator does not start: {self.process.stderr.read().strip()[-300:]}")
        self.info = json.loads(line)
        threading.Thread(target=self.process.stderr.read, daemon=True).start()
        self.url, self.projects = self.info["url"], [str(p["id"]) for p in self.info["projects"]]

    def get(self, path):
        return json.load(urllib.request.urlopen(self.url + path, timeout=600))

    def post(self, path, body):
        ask = urllib.request.Request(self.url + path, json.dumps(body).encode(), {"content-type": "application/json"})
        return json.load(urllib.request.urlopen(ask, timeout=600))

    def truth(self, sha=True):
        """One object for each build there ever was: `id`, `trace_sha256`, `trace_bytes`, `obtainable`, ..."""
        with urllib.request.urlopen(f"{self.url}/sim/truth?format=ndjson&sha={int(sha)}", timeout=600) as lines:
            return [json.loads(line) for line in lines]

    def stats(self):
        return self.get("/sim/stats")

    def cpu(self):
        """Processor seconds used so far."""
        return cpu_of(self.process.pid)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def arguments(text, *sizes, corpus=False):
    """Reads the flags of a script, and ends it with a word on what is missing. `sizes` are (flag, default, help)."""
    parser = argparse.ArgumentParser(description=text.strip(), formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulator", default=Simulator.path, help="the simulator's program [env: JOBVAULT_SIMULATOR]")
    if corpus:
        parser.add_argument("--corpus", default=os.environ.get("JOBVAULT_CORPUS", ""), help="a directory of logs [env: JOBVAULT_CORPUS]")
    for flag, default, help in sizes:
        kind = {"type": type(default), "default": default, "help": f"{help} [{default}]"} if default is not None else {"default": "", "help": help}
        parser.add_argument(flag, **kind)
    parser.add_argument("--no-build", action="store_true", help="take the programs that are there")
    given = parser.parse_args()
    Simulator.path = given.simulator
    missing = []
    if not Path(given.simulator).is_file():
        missing.append("the simulator: set JOBVAULT_SIMULATOR or --simulator to its program")
    if not shutil.which("node"):
        missing.append("node, which runs the simulator")
    if corpus and given.corpus and not Path(given.corpus).is_dir():
        missing.append("the corpus: set JOBVAULT_CORPUS or --corpus to a directory of logs")
    if missing:
        raise SystemExit("missing: " + "; ".join(missing))
    if not given.no_build:
        build("traces")
    return given


def environment(token):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("GITLAB_", "CI_", "JOBVAULT_"))}
    return dict(clean, GITLAB_TOKEN=token, NO_COLOR="1")


def jobvault(archive, *args, token="", ok=(0, 1)):
    run = subprocess.run([BIN, "--archive", archive, *map(str, args)], capture_output=True, env=environment(token))
    if run.returncode not in ok:
        raise SystemExit(f"jobvault {' '.join(map(str, args))}: exit {run.returncode}\n{run.stderr.decode(errors='replace')}")
    return run


def sync(corpus):
    """A new archive of all logs of a corpus; returns its path and what sync says."""
    archive = tmp() / "archive"
    with Loopback(corpus) as server:
        run = jobvault(archive, "sync", "--json", "--host", server.url, *server.projects, token=server.token, ok=(0,))
    return archive, json.loads(run.stdout.splitlines()[-1])


def sync_command(archive, sim, *args, host=None):
    return [str(BIN), "--archive", str(archive), "sync", "--json", "--host", host or sim.url, *sim.projects, *map(str, args)]


class Synced:
    """What came of one `jobvault sync` against the simulator."""

    def __init__(self, archive, sim, *args, host=None, idle=60):
        """`host`: the address to sync from, where it is not the simulator's own. `idle`: seconds without a request, and without
        an end, after which it counts as hanging and is killed."""
        start, requests, quiet = time.perf_counter(), -1, 0.0
        command = sync_command(archive, sim, *args, host=host)
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(command, stdout=out, stderr=err, env=environment(SIM_TOKEN))
            self.hung, still = False, 0.0
            while True:
                pid, status, used = os.wait4(process.pid, os.WNOHANG)
                if pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    break
                time.sleep(0.05)
                quiet += 0.05
                if quiet >= 5:
                    now = sim.stats()["requests"]
                    still = 0.0 if now != requests else still + quiet
                    requests, quiet = now, 0.0
                    if still >= idle:
                        self.hung = True
                        process.kill()
            self.seconds = time.perf_counter() - start
            out.seek(0), err.seek(0)
            lines, self.messages = out.read().splitlines(), err.read().decode(errors="replace")
        self.exit, self.cpu, self.peak_bytes = process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024
        self.said = json.loads(lines[-1]) if lines else {}
        self.panicked = "panicked at" in self.messages

    def __getattr__(self, name):
        return self.__dict__.get("said", {}).get(name, 0)


def traces(archive):
    """Yields (job, state, bytes or None, SHA-256 or None) of every trace that stands for its job."""
    process = subprocess.Popen([TARGET / "release/examples/traces", archive], stdout=subprocess.PIPE)
    for line in process.stdout:
        told = json.loads(line)
        if "error" in told:
            yield told["job"], told["state"], None, None
            continue
        content = process.stdout.read(told["bytes"])
        yield told["job"], told["state"], told["bytes"], hashlib.sha256(content).hexdigest()
    if process.wait():
        raise SystemExit("the example `traces` failed")


class Compared:
    """An archive beside the truth, of jobs that ended before `until` where that is given. `missing`: obtainable, and not archived; `altered`: archived, and not the truth;
    `doubted`: as altered, but known to the archive to be not what the server announces."""

    def __init__(self, archive, truth, until=None):
        have = {job: (state, sha) for job, state, _, sha in traces(archive)}
        rows = {}
        for line in jobvault(archive, "jobs", "--json", "--limit", 10**9).stdout.splitlines():
            row = json.loads(line)
            rows[row["job"]] = row
        self.wanted = self.equal = 0
        self.missing, self.altered, self.doubted, self.unlisted = [], [], [], []
        for told in truth:
            job, (state, sha) = told["id"], have.get(told["id"], (None, None))
            if until and not (told["finished_at"] and told["finished_at"] < until):
                continue
            if job not in rows and told.get("complete"):
                self.unlisted.append(job)
            if not (told.get("has_trace") and told.get("complete")):
                continue
            if told.get("deleted") and rows.get(job, {}).get("state") == "vanished":
                continue
            obtainable = told.get("obtainable")
            self.wanted += bool(obtainable)
            if job not in have:
                if obtainable and told["trace_bytes"]:
                    self.missing.append(job)
                else:
                    self.equal += bool(obtainable)
            elif sha == told["trace_sha256"]:
                self.equal += bool(obtainable)
            elif state == "pending" or "announces" in (rows.get(job, {}).get("reason") or ""):
                self.doubted.append(job)
            else:
                self.altered.append(job)

    def good(self):
        return not (self.missing or self.altered or self.doubted or self.unlisted)

    def __str__(self):
        parts = [f"{self.equal}/{self.wanted}"]
        parts += [f"{len(ids)} {what}" for ids, what in ((self.missing, "missing"), (self.altered, "ALTERED"), (self.doubted, "doubted"), (self.unlisted, "without row")) if ids]
        return ", ".join(parts)


class Table:
    """Columns as wide as their widest cell; each row is printed when it is there."""

    def __init__(self, *heads):
        self.widths = [len(head.strip()) if not head.endswith(" ") else len(head) for head in heads]
        self.row(*[head.strip() for head in heads])

    def row(self, *cells):
        texts = [f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in cells]
        left = [text.ljust(width) if at == 0 or not text[:1].isdigit() else text.rjust(width) for at, (text, width) in enumerate(zip(texts, self.widths))]
        print("  ".join(left).rstrip(), flush=True)


class Bounds:
    """What has to hold. `done` ends the script: 1 when something did not."""

    def __init__(self):
        self.broken = []

    def check(self, holds, what):
        if not holds:
            self.broken.append(what)
        return "ok" if holds else "BROKEN"

    def done(self):
        for what in self.broken:
            print(f"does not hold: {what}")
        print(machine())
        sys.exit(1 if self.broken else 0)


def cpu_of(pid):
    """Processor seconds of a process, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_bytes(pid):
    """The most memory that a process has had so far, or None once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split() for line in lines if line.startswith("VmHWM:")]
    return int(found[0][1]) * 1024 if found else None


def queries(path):
    """Reads a file of queries: lines `F TEXT` (literal) or `E REGEX`; `\\t` in a literal is a tab."""
    found = []
    for line in Path(path).read_text().splitlines():
        kind, _, text = line.partition(" ")
        if kind in ("F", "E") and text:
            found.append((kind, text.replace("\\t", "\t") if kind == "F" else text))
    return found


def machine():
    load = os.getloadavg()[0]
    return f"{os.cpu_count()} cores, load {load:.1f}"


def size(path):
    return sum(f.stat().st_size for f in Path(path).rglob("*") if f.is_file())
