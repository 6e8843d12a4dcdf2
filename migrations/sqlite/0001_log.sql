-- The log: trees, their heads, tiles and entries.
--
-- Rows are only ever inserted. Every column of every table is immutable, with one exception: tree.state goes once from
-- 'active' to 'frozen'. Erasing body.body or an attestation, where a policy asks, is the only other change ever to be made.
-- A row of head, inserted under the key of its predecessor's size, is the compare-and-set between writers: whoever inserts
-- it has sequenced the entries prev_size .. size, and inserts their rows in the same transaction.
--
-- WITHOUT ROWID where rows are narrow (one b-tree instead of two); wide rows would spill into overflow pages there.

CREATE TABLE tree (
    tree_id         INTEGER NOT NULL CHECK (tree_id > 0),
    name            TEXT    NOT NULL,
    origin_v1       TEXT    NOT NULL UNIQUE,
    origin_v2       TEXT    NOT NULL UNIQUE,
    first_log_index INTEGER NOT NULL CHECK (first_log_index >= 0),
    max_leaf_bytes  INTEGER NOT NULL CHECK (max_leaf_bytes > 0),
    state           TEXT    NOT NULL CHECK (state IN ('active', 'frozen')),
    created         INTEGER PRIMARY KEY AUTOINCREMENT,      -- orders the trees, oldest first
    UNIQUE (tree_id)
) STRICT;
CREATE UNIQUE INDEX tree_active_name ON tree (name) WHERE state = 'active';

CREATE TABLE tree_key (
    tree_id INTEGER NOT NULL,
    role    TEXT    NOT NULL CHECK (role IN ('log', 'cosigner')),
    spki    BLOB    NOT NULL,                               -- DER SubjectPublicKeyInfo
    PRIMARY KEY (tree_id, role, spki)
) STRICT, WITHOUT ROWID;

CREATE TABLE head (
    tree_id   INTEGER NOT NULL,
    prev_size INTEGER NOT NULL CHECK (prev_size >= 0),
    size      INTEGER NOT NULL CHECK (size > prev_size),
    time      INTEGER NOT NULL,                             -- Unix seconds
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (tree_id, prev_size)
) STRICT, WITHOUT ROWID;

-- Full tiles only: the right edge follows from the last leaf hashes and tile roots.
CREATE TABLE tile (
    tree_id INTEGER NOT NULL,
    level   INTEGER NOT NULL CHECK (level BETWEEN 0 AND 7),
    "index" INTEGER NOT NULL CHECK ("index" >= 0),
    root    BLOB    NOT NULL CHECK (length(root) = 32),
    hashes  BLOB    NOT NULL CHECK (length(hashes) = 8192),
    PRIMARY KEY (tree_id, level, "index")
) STRICT;

CREATE TABLE entry (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL CHECK (leaf_index >= 0),
    time       INTEGER NOT NULL,                            -- Unix seconds
    leaf_hash  BLOB    NOT NULL CHECK (length(leaf_hash) = 32),
    kind       TEXT    NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
) STRICT, WITHOUT ROWID;

-- Apart from entry, so that it can be moved or erased without touching the tree.
CREATE TABLE body (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    index_keys BLOB    NOT NULL,                            -- full key texts, each behind its length (4 bytes, big-endian)
    body       BLOB    NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
) STRICT;

CREATE TABLE signed_entry_timestamp (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    signature  BLOB    NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE attestation (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    digest     BLOB    NOT NULL CHECK (length(digest) = 32), -- SHA-256 of data
    data       BLOB    NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
) STRICT;

-- The only tables keyed by a hash. 16 bytes find the candidates; the full leaf hash and the full key texts decide.
CREATE TABLE leaf (
    tree_id     INTEGER NOT NULL,
    hash_prefix BLOB    NOT NULL CHECK (length(hash_prefix) = 16), -- first 16 bytes of entry.leaf_hash
    leaf_index  INTEGER NOT NULL,
    PRIMARY KEY (tree_id, hash_prefix, leaf_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE index_key (
    tree_id    INTEGER NOT NULL,
    key_hash   BLOB    NOT NULL CHECK (length(key_hash) = 16), -- first 16 bytes of SHA-256(key text)
    leaf_index INTEGER NOT NULL,
    PRIMARY KEY (tree_id, key_hash, leaf_index)
) STRICT, WITHOUT ROWID;
