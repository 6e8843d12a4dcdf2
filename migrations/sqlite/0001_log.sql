-- The ledger: the trees of its logs, their heads, tiles and entries.
--
-- Rows are only ever inserted. Every column of every table is immutable, with these exceptions: tree.state goes once from
-- 'active' to 'frozen', and tree.frozen_at is set with it. body.body or attestation.data may be erased where a policy asks.
-- The tables next_key and server only coordinate servers.
--
-- A row of head, inserted under the key of its predecessor's size, is the compare-and-set between writers: whoever inserts
-- it has sequenced the entries prev_size .. size, and inserts their rows in the same transaction.
--
-- WITHOUT ROWID where rows are narrow (one b-tree instead of two). The inner pages of such a table hold whole rows, so wide
-- rows would make its b-tree deep.

CREATE TABLE tree (
    tree_id         INTEGER NOT NULL CHECK (tree_id > 0),
    name            TEXT    NOT NULL,                       -- of the ledger
    api             TEXT    NOT NULL,                       -- by which its log takes entries: v1, v2
    origin          TEXT    NOT NULL UNIQUE,                -- of its C2SP checkpoints
    first_log_index INTEGER NOT NULL CHECK (first_log_index >= 0),
    max_leaf_bytes  INTEGER NOT NULL CHECK (max_leaf_bytes > 0),
    state           TEXT    NOT NULL CHECK (state IN ('active', 'frozen')),
    created_at      INTEGER NOT NULL CHECK (created_at >= 0), -- Unix seconds; the key of the tree signs nothing before
    frozen_at       INTEGER,                                -- Unix seconds, set once with state = 'frozen'
    created         INTEGER PRIMARY KEY AUTOINCREMENT,      -- orders the trees, oldest first
    UNIQUE (tree_id)
) STRICT;
CREATE UNIQUE INDEX tree_active_log ON tree (name, api) WHERE state = 'active';

CREATE TABLE tree_key (
    tree_id INTEGER NOT NULL,
    role    TEXT    NOT NULL CHECK (role IN ('log', 'checkpoint')),
    spki    BLOB    NOT NULL,                               -- DER SubjectPublicKeyInfo
    PRIMARY KEY (tree_id, role, spki)
) STRICT, WITHOUT ROWID;

-- The last row of a frozen tree adds nothing (size = prev_size). No other row does. (Postgres needs it: it takes the place
-- that any later round would have to take. Here it keeps both databases alike.)
CREATE TABLE head (
    tree_id   INTEGER NOT NULL,
    prev_size INTEGER NOT NULL CHECK (prev_size >= 0),
    size      INTEGER NOT NULL CHECK (size >= prev_size),
    time      INTEGER NOT NULL,                             -- Unix seconds
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (tree_id, prev_size)
) STRICT, WITHOUT ROWID;

-- Published heads of trees that have a witness policy.
--
-- A row, inserted under the key of its predecessor's size, is the compare-and-set between publishers: the published size only
-- grows, and a restart shows the checkpoint that is stored here. A tree without rows is published as it is integrated.
CREATE TABLE publication (
    tree_id    INTEGER NOT NULL,
    prev_size  INTEGER NOT NULL CHECK (prev_size >= -1),    -- -1 for the first: the head that was shown before the policy
    size       INTEGER NOT NULL CHECK (size > prev_size),
    time       INTEGER NOT NULL,                            -- integrated time of the head, Unix seconds
    root       BLOB    NOT NULL CHECK (length(root) = 32),
    checkpoint TEXT    NOT NULL,                            -- the C2SP checkpoint with its cosignatures
    checksum   BLOB    NOT NULL CHECK (length(checksum) = 16), -- of the row: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, prev_size)
) STRICT;

-- The last checkpoints of a frozen tree. Their row says that all signed entry timestamps of the tree are stored.
CREATE TABLE final_checkpoint (
    tree_id           INTEGER NOT NULL PRIMARY KEY,
    rekor_checkpoint  TEXT,                                 -- Rekor v1's signed note, in a log of that API
    checkpoint        TEXT    NOT NULL,                     -- the C2SP checkpoint with its cosignatures
    freeze_note       TEXT    NOT NULL,                     -- says that the tree is frozen, signed by the log alone
    receipt_signature BLOB    NOT NULL CHECK (length(receipt_signature) = 64) -- of the log key, for COSE receipts in the last head
) STRICT;

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
    attested   INTEGER NOT NULL CHECK (attested IN (0, 1)), -- stored with an attestation, so that a lost row of it shows
    index_keys BLOB    NOT NULL,                            -- full texts, as crates/ledger/src/store/packed_keys.rs packs them
    checksum   BLOB    NOT NULL CHECK (length(checksum) = 16), -- of the other columns but index_keys: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, leaf_index)
) STRICT;

-- Search by kind, newest first: a rare kind is found without reading the entries of all others. Integrated times need no
-- index, because they never go back along a tree.
CREATE INDEX entry_kind ON entry (tree_id, kind, leaf_index);

-- Apart from entry, so that it can be moved or erased without touching the tree and its search.
CREATE TABLE body (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    body       BLOB    NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
) STRICT;

CREATE TABLE signed_entry_timestamp (
    tree_id    INTEGER NOT NULL,
    leaf_index INTEGER NOT NULL,
    signature  BLOB    NOT NULL,
    checksum   BLOB    NOT NULL CHECK (length(checksum) = 16), -- of the row: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, leaf_index)
) STRICT, WITHOUT ROWID;

-- An attestation that is erased keeps its row, with empty data: a lost one has no row.
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

-- Names that should have one value in all trees of a ledger: the first entry that gave a name values, and the first one that
-- named it without any. The unique index decides which entry was first.
CREATE TABLE claim (
    tree_id       INTEGER NOT NULL,                         -- of the first entry
    leaf_index    INTEGER NOT NULL,
    name_hash     BLOB    NOT NULL CHECK (length(name_hash) = 16), -- as crates/ledger/src/store/claims.rs hashes ledger and name
    name_case     INTEGER NOT NULL,                         -- 0, or a hash of a name that has capital letters
    name          BLOB    NOT NULL,
    packed_values BLOB    NOT NULL,                         -- as crates/ledger/src/store/packed_values.rs packs them
    PRIMARY KEY (tree_id, leaf_index, name_hash, name_case)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX claim_first ON claim (name_hash, name_case, length(packed_values) > 0);

-- The log key of the tree that the next rotation of a log opens. Another registration replaces the row; the rotation removes it.
CREATE TABLE next_key (
    name TEXT NOT NULL,                                     -- of the ledger
    api  TEXT NOT NULL,                                     -- of the log
    spki BLOB NOT NULL,                                     -- DER SubjectPublicKeyInfo
    PRIMARY KEY (name, api)
) STRICT;

-- Servers that live, and the keys that each of them holds. Rows are updated and removed.
CREATE TABLE server (
    server_id TEXT    NOT NULL PRIMARY KEY,                 -- random, one process
    name      TEXT    NOT NULL,                             -- of the ledger
    place     TEXT    NOT NULL,                             -- for people: host and process
    keys      BLOB    NOT NULL,                             -- SHA-256 of the SPKI of each, 32 bytes each
    vouches   INTEGER NOT NULL,                             -- 1: it serves, and no log of it is read-only
    seen      INTEGER NOT NULL                              -- Unix milliseconds
) STRICT;
