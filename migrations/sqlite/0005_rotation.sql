-- Rotation: a tree is frozen and the next one opened.
--
-- The last row of a frozen tree's head adds nothing (size = prev_size). It is the only row of that kind. (Postgres needs it: it
-- takes the place that any later round would have to take. Here it keeps both databases alike.) SQLite changes a CHECK only by
-- copying the table.
CREATE TABLE head_copy (
    tree_id   INTEGER NOT NULL,
    prev_size INTEGER NOT NULL CHECK (prev_size >= 0),
    size      INTEGER NOT NULL CHECK (size >= prev_size),
    time      INTEGER NOT NULL,                             -- Unix seconds
    root      BLOB    NOT NULL CHECK (length(root) = 32),
    PRIMARY KEY (tree_id, prev_size)
) STRICT, WITHOUT ROWID;
INSERT INTO head_copy (tree_id, prev_size, size, time, root) SELECT tree_id, prev_size, size, time, root FROM head;
DROP TABLE head;
ALTER TABLE head_copy RENAME TO head;

-- The log key of the tree that the next rotation opens. A row is replaced by another registration and gone with the rotation.
CREATE TABLE next_key (
    name TEXT NOT NULL PRIMARY KEY,                         -- of the log
    spki BLOB NOT NULL                                      -- DER SubjectPublicKeyInfo
) STRICT;

-- Servers that live, and the log keys that each of them holds. Rows are updated and removed; they are no part of the log.
CREATE TABLE server (
    server_id TEXT    NOT NULL PRIMARY KEY,                 -- random, one process
    name      TEXT    NOT NULL,                             -- of the log
    place     TEXT    NOT NULL,                             -- for people: host and process
    log_ids   BLOB    NOT NULL,                             -- of its keys, 32 bytes each
    seen      INTEGER NOT NULL                              -- Unix milliseconds
) STRICT;

-- The last checkpoints of a frozen tree. Immutable. Their row says that all signed entry timestamps of the tree are stored.
CREATE TABLE final_checkpoint (
    tree_id       INTEGER NOT NULL PRIMARY KEY,
    checkpoint_v1 TEXT    NOT NULL,
    checkpoint_v2 TEXT    NOT NULL
) STRICT;
