#!/usr/bin/env python3
"""Prints a job's newest raw log from the packs of an archive, by FORMAT.md and `zstd` alone: read_log.py ARCHIVE JOB"""
import re, subprocess, sys, tempfile
from datetime import datetime, timedelta
from pathlib import Path

class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0
    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]
    def varint(self):
        byte = self.take(1)[0]
        return byte if byte < 128 else byte - 128 + (self.varint() << 7)
    def pairs(self):
        return [(self.varint(), self.varint()) for _ in range(self.varint())]

def table(path):
    pack, offset = path.read_bytes(), 8
    assert pack[:8] == b"JVPACK\0\1" and pack[-8:] == b"\1\0JVPEND", f"{path} is no pack of version 1"
    footer = Reader(pack[-48 - int.from_bytes(pack[-16:-8], "little"):-48])
    _number, _compacted, count, named = footer.varint(), footer.take(1), footer.varint(), footer.varint()
    bases = [None] + [footer.take(32) for _ in range(named)]
    for _ in range(count):
        kind, stored, _, digest, base = footer.take(1)[0], footer.varint(), footer.varint(), footer.take(32), bases[footer.varint()]
        place = [footer.varint() for _ in range(6)] + [footer.take(1)[0]] if kind == 1 else None
        yield kind, digest, base, place, (path, offset, stored)
        offset += stored

def unpack(path, offset, stored, base=None):
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(base or b"")
        command = ["zstd", "-d", "-c"] + (["-D", file.name] if base else [])
        return subprocess.run(command, input=path.read_bytes()[offset:offset + stored], stdout=-1, check=True).stdout

def with_ids(reader):
    count, text, digits = reader.varint(), reader.varint(), reader.varint()
    forms = dict(reader.take(2) for _ in range(count))
    text, digits, ids = reader.take(text), Reader(reader.take(digits)), reader
    def written(found):
        form = forms[found[0][0]]
        if 0 < form & 127 < 32:
            return digits.take(form & 127)
        id = ids.take(form & 127 and (form & 127) - 32 or 16).hex()
        id = id if form & 127 else "-".join(re.fullmatch("(.{8})(....)(....)(....)(.{12})", id).groups())
        return (id.upper() if form & 128 else id).encode()
    return re.sub(b"[" + re.escape(bytes(forms)) + b"]", written, text) if forms else text

def piece(payload):
    reader, micros, out = Reader(payload[1:]), 0, []
    stream = Reader((reader.take(reader.varint()) if payload[0] else b"") or b"\0\0")
    text = with_ids(reader) if payload[0] == 2 else reader.data[reader.at:]
    lines = iter(re.findall(rb"[^\n]*\n|[^\n]+", text))
    stretches, kinds = stream.pairs(), iter([kind for kind, count in stream.pairs() for _ in range(count)])
    for is_stamped in (n < stamped for stamped, bare in stretches for n in range(stamped + bare)):
        if is_stamped:
            step, kind = stream.varint(), next(kinds)
            micros += step >> 1 ^ -(step & 1)
            time = (datetime(1970, 1, 1) + timedelta(microseconds=micros)).isoformat(timespec="microseconds")
            out.append(f"{time}Z {kind & 255:02x}{'OE'[kind >> 8 & 1]}{' +'[kind >> 9]}".encode())
        out.append(next(lines, b""))
    return b"".join(out) + b"".join(lines)

whole, bases = {}, {}
for path in sorted(Path(sys.argv[1]).glob("packs/*/*.pack")):
    begun = {}
    for kind, digest, base, place, where in table(path):
        bases.update({digest: where} if kind == 2 else {})
        if kind == 1 and place[1] == int(sys.argv[2]):
            begun[place[0]] = (begun[place[0]] if place[3] else []) + [(where, base)]
            whole.update({place[0]: begun[place[0]]} if place[6] & 2 else {})
for where, base in whole[max(whole)]:
    sys.stdout.buffer.write(piece(unpack(*where, base and unpack(*bases[base]))))
