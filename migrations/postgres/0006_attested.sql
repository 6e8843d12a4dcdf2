-- Whether an entry was stored with an attestation, so that a lost row of attestation shows. Immutable, as all of entry.
--
-- An attestation that is erased where a policy asks keeps its row, with empty data: what is lost has none.

ALTER TABLE entry ADD COLUMN attested boolean NOT NULL DEFAULT false;
