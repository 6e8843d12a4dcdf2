-- Search by kind, newest first: a rare kind is found without reading the entries of all others. Integrated times need no
-- index, they never go back along a tree.
CREATE INDEX entry_kind ON entry (tree_id, kind, leaf_index);
