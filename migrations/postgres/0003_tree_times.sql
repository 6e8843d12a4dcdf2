-- From when to when a tree took entries: the window of its key in what clients are told to trust.

ALTER TABLE tree ADD COLUMN created_at bigint NOT NULL DEFAULT 0 CHECK (created_at >= 0);  -- Unix seconds, immutable
ALTER TABLE tree ADD COLUMN frozen_at bigint;                                              -- Unix seconds, set once with state = 'frozen'
