#!/usr/bin/env python3
"""Grows a corpus of logs as time would: grow.py CORPUS OUT MEGABYTES [SEED]

Each pass over the corpus is one more run of every job. What differs from run to run is made anew: commits and other
hexadecimal ids, long numbers, fractions of seconds and durations; dates go on by a week; digests of images change
every eighth run. Within one log the same id becomes the same new one, a short commit the start of the long one. The
rest stays, so that terms grow as in life. The same seed gives the same bytes.
"""
import datetime, functools, hashlib, multiprocessing, re, sys
from pathlib import Path
import common

CHANGING = re.compile(
    rb"(?P<image>sha256:[0-9a-f]{64})"
    rb"|(?<![0-9A-Za-z])(?P<day>\d{4}-[01]\d-[0-3]\d)(?!\d)"
    rb"|(?P<fraction>(?<=\d\.)\d{2,9})(?![\d.])"
    rb"|(?<![0-9A-Za-z])(?P<hex>(?=[a-f]*\d)[0-9a-f]{7,64})(?![0-9A-Za-z])"
    rb"|(?<!\d)(?P<number>\d{5,})(?!\d)"
)
IMAGE_RUNS = 8
DIGITS = bytes(48 + i % 10 for i in range(256))


@functools.lru_cache(maxsize=100_000)
def noise(key, length, decimal):
    found = hashlib.shake_128(key).digest(length)
    return found.translate(DIGITS) if decimal else found.hex().encode()[:length]


@functools.lru_cache(maxsize=10_000)
def later(day, run):
    try:
        date = datetime.date.fromisoformat(day.decode())
        return (date + datetime.timedelta(weeks=run)).isoformat().encode()
    except (ValueError, OverflowError):
        return day


def again(data, seed, run):
    """The bytes of a log in a later run."""
    key, image = b"%d %d " % (seed, run), b"%d i%d " % (seed, run // IMAGE_RUNS)

    def changed(match):
        kind, text = match.lastgroup, match[0]
        if kind == "image":
            return b"sha256:" + noise(image + text, 64, False)
        if kind == "day":
            return later(text, run)
        if kind == "hex" and not text.isdigit():
            return noise(key + text[:7], len(text), False)
        head = b"" if kind == "fraction" or text[:1] == b"0" else text[:1]
        return head + noise(key + text, len(text) - len(head), True)

    return CHANGING.sub(changed, data)


def write(task):
    source, target, seed, run = task
    data = source.read_bytes()
    target.parent.mkdir(parents=True, exist_ok=True)
    data = data if run == 0 else again(data, seed, run)
    target.write_bytes(data)
    return len(data)


def tasks(corpus, out, seed, want):
    """What to write until it is enough; a log keeps its length, so that this is known before."""
    sources = [(log, log.stat().st_size) for log in common.logs(corpus)]
    run = size = 0
    while sources and size < want:
        for source, length in sources:
            if size >= want:
                return
            size += length
            folder, number = source.relative_to(corpus).parent, int(re.sub(r"\D", "", source.stem) or 0)
            yield source, out / folder / f"{number + run * 10_000:06}.log", seed, run
        run += 1


def main():
    corpus, out, want = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]) * 1_000_000
    seed = int(sys.argv[4]) if len(sys.argv) > 4 else 1
    with multiprocessing.Pool() as pool:
        sizes = list(pool.imap_unordered(write, tasks(corpus, out, seed, want), chunksize=16))
    print(f"{len(sizes)} logs, {sum(sizes) / 1e6:.0f} MB in {out}")


if __name__ == "__main__":
    main()
