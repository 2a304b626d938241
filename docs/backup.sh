#!/bin/sh
# Copies an archive while jobvault may write to it: backup.sh ARCHIVE DEST. BACKUP.md says why in this order.
set -eu
umask 077
archive=$1 dest=$2
mkdir -p "$dest/packs"
cp "$archive/jobvault.json" "$dest/jobvault.json"
rm -f "$dest/catalogue.new"
python3 -c 'import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute("VACUUM INTO ?", [sys.argv[2]])' \
  "$archive/catalogue.sqlite" "$dest/catalogue.new"
# A pack never changes: what the copy holds already is not copied again. It is whole once it has its name.
(cd "$archive/packs" && find . -name '*.pack') | while read -r pack; do
  [ -e "$dest/packs/$pack" ] && continue
  mkdir -p "$dest/packs/${pack%/*}"
  cp "$archive/packs/$pack" "$dest/packs/$pack.part"
  mv "$dest/packs/$pack.part" "$dest/packs/$pack"
done
sync
rm -f "$dest/catalogue.sqlite-wal" "$dest/catalogue.sqlite-shm"
mv "$dest/catalogue.new" "$dest/catalogue.sqlite"
