-- The log: trees, their heads, tiles and entries.
--
-- Rows are only ever inserted. Every column of every table is immutable, with one exception: tree.state goes once from
-- 'active' to 'frozen'. Erasing body.body or an attestation, where a policy asks, is the only other change ever to be made.
-- A row of head, inserted under the key of its predecessor's size, is the compare-and-set between servers: whoever inserts
-- it has sequenced the entries prev_size .. size, and inserts their rows in the same statement.
--
-- No foreign keys: a row is only written by the statement that wrote its head, and fsck counts. A reference costs a look-up
-- and a lock of the referenced row for every row of a round.

CREATE TABLE tree (
    tree_id         bigint  NOT NULL PRIMARY KEY CHECK (tree_id > 0),
    name            text    NOT NULL,
    origin_v1       text    NOT NULL UNIQUE,
    origin_v2       text    NOT NULL UNIQUE,
    first_log_index bigint  NOT NULL CHECK (first_log_index >= 0),
    max_leaf_bytes  bigint  NOT NULL CHECK (max_leaf_bytes > 0),
    state           text    NOT NULL CHECK (state IN ('active', 'frozen')),
    created         bigint  GENERATED ALWAYS AS IDENTITY    -- orders the trees, oldest first
);
CREATE UNIQUE INDEX tree_active_name ON tree (name) WHERE state = 'active';

CREATE TABLE tree_key (
    tree_id bigint  NOT NULL,
    role    text    NOT NULL CHECK (role IN ('log', 'cosigner')),
    spki    bytea   NOT NULL,                               -- DER SubjectPublicKeyInfo
    PRIMARY KEY (tree_id, role, spki)
);

CREATE TABLE head (
    tree_id   bigint NOT NULL,
    prev_size bigint NOT NULL CHECK (prev_size >= 0),
    size      bigint NOT NULL CHECK (size > prev_size),
    time      bigint NOT NULL,                              -- Unix seconds
    root      bytea  NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (tree_id, prev_size)
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
    PRIMARY KEY (tree_id, leaf_index)
);

-- Apart from entry, so that it can be moved or erased without touching the tree.
CREATE TABLE body (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL,
    body       bytea  NOT NULL,
    index_keys bytea  NOT NULL,                             -- full key texts, each behind its length (4 bytes, big-endian)
    PRIMARY KEY (tree_id, leaf_index)
);

CREATE TABLE signed_entry_timestamp (
    tree_id    bigint NOT NULL,
    leaf_index bigint NOT NULL,
    signature  bytea  NOT NULL,
    PRIMARY KEY (tree_id, leaf_index)
);

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
