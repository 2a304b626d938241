"""What the benchmarks share: building, a loopback GitLab over a directory of logs, syncing, running."""
import atexit, json, os, shutil, subprocess, tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BIN = TARGET / "release/jobvault"
FLAG = {"F": "-F", "E": "-e"}  # how a query of a file is given to `jobvault search`


def build():
    subprocess.run(["cargo", "build", "--release", "--bins", "--examples", "--quiet"], cwd=ROOT, check=True)


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


def jobvault(archive, *args, token="", ok=(0, 1)):
    env = dict(os.environ, GITLAB_TOKEN=token, NO_COLOR="1")
    run = subprocess.run([BIN, "--archive", archive, *map(str, args)], capture_output=True, env=env)
    if run.returncode not in ok:
        raise SystemExit(f"jobvault {' '.join(map(str, args))}: exit {run.returncode}\n{run.stderr.decode(errors='replace')}")
    return run


def sync(corpus):
    """A new archive of all logs of a corpus; returns its path and what sync says."""
    archive = tmp() / "archive"
    with Loopback(corpus) as server:
        run = jobvault(archive, "sync", "--json", "--host", server.url, *server.projects, token=server.token, ok=(0,))
    return archive, json.loads(run.stdout.splitlines()[-1])


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
