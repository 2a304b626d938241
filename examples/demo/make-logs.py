#!/usr/bin/env python3
"""Packs sample logs for the demo: make-logs.py RUNS_DIR OUT.zip.zst

RUNS_DIR holds <group>__<project>/<job>/<NNNNN>.log, each with the job as GitLab's API gives it beside it (.json).
The zip stores its members uncompressed, so that zstd over the whole sees how much runs of one job have in common.
"""
import subprocess, sys, zipfile
from pathlib import Path

SERIES = {  # how many of the newest runs of each job
    "core__tokenkit": {"build": 12, "doc": 7, "fmt": 6, "test": 20},
    "web__storefront": {"test-mocha": 31, "lint-eslint": 2, "format-prettier": 2, "npm-ci": 1, "build-webpack": 2},
    "platform__ledger-api": {"unit-tests": 16, "security-bandit": 7, "build-wheel": 5, "pip-install": 3},
    "embedded__sensord": {"test-sensord": 60, "build-make": 8, "cppcheck": 2, "third-party-lua": 18},
    "infra__provision": {"smoke-tests": 40, "deploy-staging": 6, "ansible-provision": 2, "image-packages": 4},
    "tools__gitmirror": {"archive-tar": 20},
}

runs, out = Path(sys.argv[1]), Path(sys.argv[2])
plain = out.with_suffix("")
with zipfile.ZipFile(plain, "w", zipfile.ZIP_STORED) as archive:
    for project, jobs in SERIES.items():
        for job, count in jobs.items():
            for log in sorted((runs / project / job).glob("*.log"))[-count:]:
                for path in (log.with_suffix(".json"), log):
                    info = zipfile.ZipInfo(f"{project}/{job}/{path.name}", (2026, 1, 1, 0, 0, 0))
                    archive.writestr(info, path.read_bytes())
subprocess.run(["zstd", "-q", "-19", "--long=27", "-f", str(plain), "-o", str(out)], check=True)
plain.unlink()
