-- Rotation: a tree is frozen and the next one opened.
--
-- The last row of a frozen tree's head adds nothing (size = prev_size): it takes the place that any later round would have to
-- take, so none can commit, however old its snapshot is. It is the only row of that kind.
ALTER TABLE head DROP CONSTRAINT head_check;
ALTER TABLE head ADD CONSTRAINT head_check CHECK (size >= prev_size);

-- The log key of the tree that the next rotation opens. A row is replaced by another registration and gone with the rotation.
CREATE TABLE next_key (
    name text  NOT NULL PRIMARY KEY,                        -- of the log
    spki bytea NOT NULL                                     -- DER SubjectPublicKeyInfo
);

-- Servers that live, and the log keys that each of them holds. Rows are updated and removed; they are no part of the log.
CREATE TABLE server (
    server_id text   NOT NULL PRIMARY KEY,                  -- random, one process
    name      text   NOT NULL,                              -- of the log
    place     text   NOT NULL,                              -- for people: host and process
    log_ids   bytea  NOT NULL,                              -- of its keys, 32 bytes each
    seen      bigint NOT NULL                               -- Unix milliseconds, of the database's clock
);

-- The last checkpoints of a frozen tree. Immutable. Their row says that all signed entry timestamps of the tree are stored.
CREATE TABLE final_checkpoint (
    tree_id       bigint NOT NULL PRIMARY KEY,
    checkpoint_v1 text   NOT NULL,
    checkpoint_v2 text   NOT NULL
);
