-- What a witness cosigned last, of each log. A row is only ever replaced by a larger head of the same tree, or by another
-- signature over the same head: the statement names the head that it replaces.

CREATE TABLE cosigned (
    origin     TEXT    NOT NULL PRIMARY KEY,
    size       INTEGER NOT NULL CHECK (size >= 0),
    root       BLOB    NOT NULL CHECK (length(root) = 32),
    checkpoint TEXT    NOT NULL                             -- the signed note as the log gave it
) STRICT;
