#!/usr/bin/env python3
"""What could be gained by taking artifacts archives apart: artifacts.py DIRECTORY...

An archive is kept as it is, once for each content. To keep equal files of different archives once, their deflate streams
would have to be made again bit for bit. This counts the streams that zlib makes again at some level, the members that
occur more than once, and what all contents take as one zstd file, the most that could be gained. Needs zstd.
"""
import hashlib, io, subprocess, sys, zipfile, zlib
from pathlib import Path

DEFLATE = 8


def stream(archive, member):
    """The member's bytes as they stand in the archive."""
    at = member.header_offset
    name, extra = (int.from_bytes(archive[at + place:at + place + 2], "little") for place in (26, 28))
    at += 30 + name + extra
    return archive[at:at + member.compress_size]


def is_made_again(content, stream):
    for level in range(1, 10):
        for memory in (8, 9):
            packer = zlib.compressobj(level, zlib.DEFLATED, -15, memory)
            if packer.compress(content) + packer.flush() == stream:
                return True
    return False


def main():
    paths = sorted(path for directory in sys.argv[1:] for path in Path(directory).rglob("*.zip"))
    if not paths:
        raise SystemExit(__doc__)
    bytes_of_archives = members = again = 0
    contents = {}
    for path in paths:
        archive = path.read_bytes()
        bytes_of_archives += len(archive)
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            for member in opened.infolist():
                content = opened.read(member)
                members += 1
                again += member.compress_type == DEFLATE and is_made_again(content, stream(archive, member))
                contents.setdefault(hashlib.sha256(content).digest(), content)
    solid = subprocess.run(["zstd", "-19", "--long=27", "-q", "-c"], input=b"".join(contents.values()), stdout=subprocess.PIPE, check=True).stdout
    print(f"{len(paths)} archives of {bytes_of_archives} bytes, {members} members, {members - len(contents)} of them again")
    print(f"{again} deflate streams made again by zlib; all contents once, as one zstd file: {len(solid)} bytes")


main()
