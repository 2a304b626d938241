#!/usr/bin/env python3
"""The script people write: python-gitlab, 16 threads, one gzip file a log: python_gitlab.py URL TOKEN DIR PROJECT..."""
import gzip, sys, threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gitlab

THREADS = 16
FINISHED = {"success", "failed", "canceled"}


def main():
    url, token, target, projects = sys.argv[1], sys.argv[2], Path(sys.argv[3]), sys.argv[4:]
    local = threading.local()

    def project(id):
        # A session is not to be shared among threads.
        if not hasattr(local, "gitlab"):
            local.gitlab = gitlab.Gitlab(url, private_token=token, per_page=100)
        return local.gitlab.projects.get(id, lazy=True)

    def save(place):
        id, job = place
        log = project(id).jobs.get(job, lazy=True).trace()
        if log:
            with gzip.open(target / f"{job}.log.gz", "wb") as out:
                out.write(log)

    def finished():
        for id in projects:
            for job in project(id).jobs.list(iterator=True, pagination="keyset"):
                if job.status in FINISHED:
                    yield id, job.id

    with ThreadPoolExecutor(THREADS) as threads:
        done = sum(1 for _ in threads.map(save, finished()))
    print(done)


main()
