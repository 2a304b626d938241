#!/usr/bin/env python3
"""Prints a job's newest raw log from the packs of an archive, by FORMAT.md and `zstd` alone: read_log.py ARCHIVE JOB"""
import io, re, subprocess, sys, tempfile, uuid
from datetime import datetime, timedelta
from pathlib import Path

def varint(stream):
    byte = stream.read(1)[0]
    return byte if byte < 128 else byte - 128 + (varint(stream) << 7)
def pairs(stream):
    return [(varint(stream), varint(stream)) for _ in range(varint(stream))]

def entries(path):
    pack, offset = path.read_bytes(), 8
    assert pack[:8] == b"JVPACK\0\1" and pack[-8:] == b"\1\0JVPEND", f"{path} is no pack of version 1"
    footer = io.BytesIO(pack[-48 - int.from_bytes(pack[-16:-8], "little"):-48])
    _number, _compacted, count, named = varint(footer), footer.read(1), varint(footer), varint(footer)
    bases = [None] + [footer.read(32) for _ in range(named)]
    for _ in range(count):
        kind, stored, _, digest, base = footer.read(1)[0], varint(footer), varint(footer), footer.read(32), bases[varint(footer)]
        place = [varint(footer) for _ in range(6)] + [footer.read(1)[0]] if kind == 1 else None
        yield kind, digest, base, place, (path, (offset := offset + stored) - stored, stored)

def unpack(path, offset, stored, base=b""):
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(base)
        return subprocess.run(["zstd", "-dcD", file.name], input=path.read_bytes()[offset:offset + stored], stdout=-1, check=True).stdout

def with_ids(stream):
    count, text, digits = varint(stream), varint(stream), varint(stream)
    forms = dict(stream.read(2) for _ in range(count))
    text, digits = stream.read(text), io.BytesIO(stream.read(digits))
    def written(found):
        form, size = forms[found[0][0]], forms[found[0][0]] & 127
        id = digits.read(size).decode() if 0 < size < 32 else stream.read(size - 32).hex() if size else str(uuid.UUID(bytes=stream.read(16)))
        return (id.upper() if form & 128 else id).encode()
    return re.sub(b"[" + re.escape(bytes(forms)) + b"]", written, text) if forms else text

def piece(payload):
    coding, stream, time = payload[0], io.BytesIO(payload[1:]), datetime(1970, 1, 1)
    stamps = io.BytesIO((stream.read(varint(stream)) if coding else b"") or b"\0\0")
    lines = iter(re.findall(rb"[^\n]*\n|[^\n]+", with_ids(stream) if coding == 2 else stream.read()))
    stretches, kinds = pairs(stamps), iter([kind for kind, count in pairs(stamps) for _ in range(count)])
    for is_stamped in (n < stamped for stamped, bare in stretches for n in range(stamped + bare)):
        if is_stamped:
            step, kind = varint(stamps), next(kinds)
            time += timedelta(microseconds=step >> 1 ^ -(step & 1))
            yield f"{time.isoformat(timespec='microseconds')}Z {kind & 255:02x}{'OE'[kind >> 8 & 1]}{' +'[kind >> 9]}".encode()
        yield next(lines, b"")
    yield from lines

traces, begun, bases = {}, {}, {}
for path in sorted(Path(sys.argv[1]).glob("packs/*/*.pack")):
    for kind, digest, base, place, where in entries(path):
        bases.update({digest: where} if kind == 2 else {})
        if kind == 1 and place[1] == int(sys.argv[2]):
            begun[path, place[0]] = (begun[path, place[0]] if place[3] else []) + [(where, base)]
            traces.update({place[0]: begun[path, place[0]]} if place[6] & 2 else {})
for where, base in traces[max(traces)]:
    sys.stdout.buffer.writelines(piece(unpack(*where, unpack(*bases[base]) if base else b"")))
