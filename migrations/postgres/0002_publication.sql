-- Published heads of trees that have a witness policy. Rows are only ever inserted and never change.
--
-- A row, inserted under the key of its predecessor's size, is the compare-and-set between publishers: the published size
-- only grows, and every server shows the checkpoint that is stored here. A tree without rows is published as it is integrated.

CREATE TABLE publication (
    tree_id    bigint NOT NULL,
    prev_size  bigint NOT NULL CHECK (prev_size >= -1),     -- -1 for the first: what was let out before there was a policy
    size       bigint NOT NULL CHECK (size > prev_size),
    time       bigint NOT NULL,                             -- integrated time of the head, Unix seconds
    root       bytea  NOT NULL CHECK (octet_length(root) = 32),
    checkpoint text   NOT NULL,                             -- the v2 signed note with its cosignatures
    PRIMARY KEY (tree_id, prev_size)
);
