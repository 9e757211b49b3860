-- The journal: a log per role, snapshots, how far streams are, and the archive.

CREATE TABLE role (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- id = role << 40 | number: an append goes to the end of its role's range, a load is one range scan, and no second
-- index has to be kept. size stands before the blobs so that sums need not read them.
CREATE TABLE entry (
    id      INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    size    INTEGER NOT NULL,
    logic   TEXT NOT NULL,
    inputs  BLOB NOT NULL,
    outputs BLOB NOT NULL
) STRICT;

-- Written in parts, a transaction each, so that a large state does not stand in the way of appends; it counts once
-- `complete` is 1.
CREATE TABLE snapshot (
    role     INTEGER NOT NULL,
    number   INTEGER NOT NULL,
    at       INTEGER NOT NULL,
    logic    TEXT NOT NULL,
    size     INTEGER NOT NULL,
    complete INTEGER NOT NULL,
    PRIMARY KEY (role, number)
) STRICT, WITHOUT ROWID;

CREATE TABLE snapshot_part (
    role   INTEGER NOT NULL,
    number INTEGER NOT NULL,
    part   INTEGER NOT NULL,
    data   BLOB NOT NULL,
    UNIQUE (role, number, part)
) STRICT;

-- direction 0: (sender, stream) that we read; direction 1: (stream, member) that acknowledged ours.
CREATE TABLE mark (
    role      INTEGER NOT NULL,
    direction INTEGER NOT NULL,
    first     TEXT NOT NULL,
    second    TEXT NOT NULL,
    epoch     INTEGER NOT NULL,
    seq       INTEGER NOT NULL,
    PRIMARY KEY (role, direction, first, second)
) STRICT, WITHOUT ROWID;

CREATE TABLE document (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    run   TEXT NOT NULL,
    state TEXT NOT NULL,
    time  INTEGER NOT NULL,
    json  BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX document_by_time  ON document (kind, time, key);
CREATE INDEX document_by_run   ON document (kind, run, time, key);
CREATE INDEX document_by_state ON document (kind, state, time, key);
