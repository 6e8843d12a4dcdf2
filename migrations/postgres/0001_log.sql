-- The ledger: the trees of its logs, their heads, tiles and entries.
--
-- Rows are only ever inserted. Every column of every table is immutable, with these exceptions: tree.state goes once from
-- 'active' to 'frozen', and tree.frozen_at is set with it. body.body or attestation.data may be erased where a policy asks.
-- The tables next_key and server only coordinate servers.
--
-- A row of head, inserted under the key of its predecessor's size, is the compare-and-set between servers: whoever inserts
-- it has sequenced the entries prev_size .. size, and inserts their rows in the same statement.
--
-- No foreign keys: a row is only written by the statement that wrote its head, and fsck counts. A reference costs a look-up
-- and a lock of the referenced row for every row of a round.

CREATE TABLE tree (
    tree_id         bigint  NOT NULL PRIMARY KEY CHECK (tree_id > 0),
    name            text    NOT NULL,                       -- of the ledger
    api             text    NOT NULL,                       -- by which its log takes entries: v1, v2
    origin          text    NOT NULL UNIQUE,                -- of its C2SP checkpoints
    first_log_index bigint  NOT NULL CHECK (first_log_index >= 0),
    max_leaf_bytes  bigint  NOT NULL CHECK (max_leaf_bytes > 0),
    state           text    NOT NULL CHECK (state IN ('active', 'frozen')),
    created_at      bigint  NOT NULL CHECK (created_at >= 0), -- Unix seconds; the key of the tree signs nothing before
    frozen_at       bigint,                                 -- Unix seconds, set once with state = 'frozen'
    created         bigint  GENERATED ALWAYS AS IDENTITY    -- orders the trees, oldest first
);
CREATE UNIQUE INDEX tree_active_log ON tree (name, api) WHERE state = 'active';

CREATE TABLE tree_key (
    tree_id bigint  NOT NULL,
    role    text    NOT NULL CHECK (role IN ('log', 'checkpoint')),
    spki    bytea   NOT NULL,                               -- DER SubjectPublicKeyInfo
    PRIMARY KEY (tree_id, role, spki)
);

-- The last row of a frozen tree adds nothing (size = prev_size). No other row does. It takes the place that any later round
-- would have to take, so none can commit, however old its snapshot is.
CREATE TABLE head (
    tree_id   bigint NOT NULL,
    prev_size bigint NOT NULL CHECK (prev_size >= 0),
    size      bigint NOT NULL CHECK (size >= prev_size),
    time      bigint NOT NULL,                              -- Unix seconds
    root      bytea  NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (tree_id, prev_size)
);

-- Published heads of trees that have a witness policy.
--
-- A row, inserted under the key of its predecessor's size, is the compare-and-set between publishers: the published size only
-- grows, and every server shows the checkpoint that is stored here. A tree without rows is published as it is integrated.
CREATE TABLE publication (
    tree_id    bigint NOT NULL,
    prev_size  bigint NOT NULL CHECK (prev_size >= -1),    -- -1 for the first: the head that was shown before the policy
    size       bigint NOT NULL CHECK (size > prev_size),
    time       bigint NOT NULL,                            -- integrated time of the head, Unix seconds
    root       bytea  NOT NULL CHECK (octet_length(root) = 32),
    checkpoint text   NOT NULL,                            -- the C2SP checkpoint with its cosignatures
    checksum   bytea  NOT NULL CHECK (octet_length(checksum) = 16), -- of the row: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, prev_size)
);

-- The last checkpoints of a frozen tree. Their row says that all signed entry timestamps of the tree are stored.
CREATE TABLE final_checkpoint (
    tree_id           bigint NOT NULL PRIMARY KEY,
    rekor_checkpoint  text,                                -- Rekor v1's signed note, in a log of that API
    checkpoint        text   NOT NULL,                     -- the C2SP checkpoint with its cosignatures
    freeze_note       text   NOT NULL,                     -- says that the tree is frozen, signed by the log alone
    receipt_signature bytea  NOT NULL CHECK (octet_length(receipt_signature) = 64) -- of the log key, for COSE receipts in the last head
);

-- Full tiles only: the right edge follows from the last leaf hashes and tile roots.
CREATE TABLE tile (
    tree_id bigint   NOT NULL,
    index   bigint   NOT NULL CHECK (index >= 0),
    level   smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    root    bytea    NOT NULL CHECK (octet_length(root) = 32),
    hashes  bytea    NOT NULL CHECK (octet_length(hashes) = 8192),
    PRIMARY KEY (tree_id, level, index)
);
-- Digests do not compress.
ALTER TABLE tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE entry (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL CHECK (leaf_index >= 0),
    time       bigint NOT NULL,                             -- Unix seconds
    leaf_hash  bytea  NOT NULL CHECK (octet_length(leaf_hash) = 32),
    kind       text   NOT NULL,
    attested   boolean NOT NULL,                            -- stored with an attestation, so that a lost row of it shows
    index_keys bytea  NOT NULL,                             -- full texts, as crates/ledger/src/store/packed_keys.rs packs them
    checksum   bytea  NOT NULL CHECK (octet_length(checksum) = 16), -- of the other columns but index_keys: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, leaf_index)
);

-- Search by kind, newest first: a rare kind is found without reading the entries of all others. Integrated times need no
-- index, because they never go back along a tree.
CREATE INDEX entry_kind ON entry (tree_id, kind, leaf_index);

-- Apart from entry, so that it can be moved or erased without touching the tree and its search.
CREATE TABLE body (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL,
    body       bytea  NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
);

CREATE TABLE signed_entry_timestamp (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL,
    signature  bytea  NOT NULL,
    checksum   bytea  NOT NULL CHECK (octet_length(checksum) = 16), -- of the row: crates/ledger/src/store/checksum.rs
    PRIMARY KEY (tree_id, leaf_index)
);

-- An attestation that is erased keeps its row, with empty data: a lost one has no row.
CREATE TABLE attestation (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL,
    digest     bytea  NOT NULL CHECK (octet_length(digest) = 32), -- SHA-256 of data
    data       bytea  NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
);

-- The only tables keyed by a hash. 16 bytes find the candidates (as uuid: no length byte, no padding); the full leaf hash
-- and the full key texts decide.
CREATE TABLE leaf (
    tree_id     bigint NOT NULL,
    hash_prefix uuid   NOT NULL,                            -- first 16 bytes of entry.leaf_hash
    leaf_index  bigint NOT NULL,
    PRIMARY KEY (tree_id, hash_prefix, leaf_index)
);

CREATE TABLE index_key (
    tree_id    bigint NOT NULL,
    key_hash   uuid   NOT NULL,                             -- first 16 bytes of SHA-256(key text)
    leaf_index bigint NOT NULL,
    PRIMARY KEY (tree_id, key_hash, leaf_index)
);

-- Names that should have one value in all trees of a ledger: the first entry that gave a name values, and the first one that
-- named it without any. The unique index decides which entry was first, also between logs that commit at the same time.
CREATE TABLE claim (
    tree_id       bigint NOT NULL,                          -- of the first entry
    leaf_index    bigint NOT NULL,
    name_hash     uuid   NOT NULL,                          -- as crates/ledger/src/store/claims.rs hashes ledger and name
    name_case     bigint NOT NULL,                          -- 0, or a hash of a name that has capital letters
    name          bytea  NOT NULL,
    packed_values bytea  NOT NULL,                          -- as crates/ledger/src/store/packed_values.rs packs them
    PRIMARY KEY (tree_id, leaf_index, name_hash, name_case)
);
CREATE UNIQUE INDEX claim_first ON claim (name_hash, name_case, (octet_length(packed_values) > 0));

-- The log key of the tree that the next rotation of a log opens. Another registration replaces the row; the rotation removes it.
CREATE TABLE next_key (
    name text  NOT NULL,                                    -- of the ledger
    api  text  NOT NULL,                                    -- of the log
    spki bytea NOT NULL,                                    -- DER SubjectPublicKeyInfo
    PRIMARY KEY (name, api)
);

-- Servers that live, and the keys that each of them holds. Rows are updated and removed.
CREATE TABLE server (
    server_id text   NOT NULL PRIMARY KEY,                 -- random, one process
    name      text   NOT NULL,                             -- of the ledger
    place     text   NOT NULL,                             -- for people: host and process
    keys      bytea  NOT NULL,                             -- SHA-256 of the SPKI of each, 32 bytes each
    vouches   boolean NOT NULL,                            -- it serves, and no log of it is read-only
    seen      bigint NOT NULL                              -- Unix milliseconds, of the database's clock
);
