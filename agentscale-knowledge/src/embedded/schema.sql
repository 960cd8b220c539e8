CREATE TABLE store (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    identity BLOB NOT NULL,
    model TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    -- Removals up to this sequence number are no longer listed.
    trimmed INTEGER NOT NULL
) STRICT;

CREATE TABLE tenants (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE
) STRICT;

-- A row a version. An item number is used once, so that an index can follow by number.
CREATE TABLE versions (
    item INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    id TEXT NOT NULL,
    version INTEGER NOT NULL,
    put_at INTEGER NOT NULL,
    -- When the next version was put; none for the newest.
    until INTEGER,
    text TEXT NOT NULL,
    vector BLOB
) STRICT;
CREATE UNIQUE INDEX versions_by_id ON versions (tenant, id, version);
CREATE UNIQUE INDEX newest ON versions (tenant, id) WHERE until IS NULL;
CREATE INDEX newest_vectors ON versions (tenant, item) WHERE until IS NULL AND vector IS NOT NULL;

-- kind: 0 bool, 1 number, 2 text.
CREATE TABLE fields (
    item INTEGER NOT NULL,
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind INTEGER NOT NULL,
    value ANY NOT NULL,
    PRIMARY KEY (item, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX fields_by_value ON fields (tenant, name, kind, value);

CREATE VIRTUAL TABLE words USING fts5 (
    tenant, text, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);

-- Items that left the newest versions, for an index that follows.
CREATE TABLE removed (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    tenant INTEGER NOT NULL,
    item INTEGER NOT NULL
) STRICT;
