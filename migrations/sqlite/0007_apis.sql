-- The APIs by which a tree takes entries. Immutable; trees made before this column take both.
ALTER TABLE tree ADD COLUMN apis TEXT NOT NULL DEFAULT 'both' CHECK (apis IN ('v1', 'v2', 'both'));
