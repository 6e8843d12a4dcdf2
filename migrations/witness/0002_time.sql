-- When each head was cosigned, in Unix seconds, so that monitors get the cosignature that was given. Null in rows that were
-- written before.

ALTER TABLE cosigned ADD COLUMN time INTEGER CHECK (time >= 0);
