-- Fills the one tree of a fresh log with made-up entries, straight into the tables:
--   psql -v entries=1000000 -v signer=HEX -f fill.sql
-- `signer` is the SHA-256 of a public key in PEM, the one of every 256th entry.
--
-- Hashes, tiles, head and index keys are those of the leaves, so a server can open the log and
-- serve it. Only signed entry timestamps are absent: the server signs them when an entry is first read.
--
-- Of eight entries two have one of 64 keys, as build machines have, and the name `build@example.com`. Six are a workflow's: one
-- issuer, one of 1,000 repositories, ten entries to a commit; of these one is a DSSE envelope whose statement names
-- twelve packages. Three entries are of the kind `rpm`.
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SET maintenance_work_mem = '512MB';
SET work_mem = '512MB';
SET searches.signer = :'signer';

CREATE FUNCTION pg_temp.digest_of(made_up text) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$ SELECT encode(sha256(convert_to(made_up, 'UTF8')), 'hex') $$;

CREATE FUNCTION pg_temp.keys_of(i bigint) RETURNS text[] STABLE LANGUAGE sql AS $$
  SELECT CASE WHEN i % 4 = 0
    THEN ARRAY[CASE WHEN i / 4 % 64 = 0 THEN current_setting('searches.signer') ELSE pg_temp.digest_of('signer ' || i / 4 % 64) END, 'build@example.com']
    ELSE ARRAY[
      pg_temp.digest_of('certificate ' || i),
      'https://github.com/org/repo' || i / 4 % 1000 || '/.github/workflows/release.yml@refs/heads/main',
      'issuer=https://token.actions.githubusercontent.com',
      'repository=github.com/org/repo' || i / 4 % 1000,
      'workflow=github.com/org/repo' || i / 4 % 1000 || '/.github/workflows/release.yml',
      'workflow=release',
      'commit=' || substr(pg_temp.digest_of('commit ' || i / 10), 1, 40)]
    END
    || CASE WHEN i % 8 = 1 THEN
      '{purl=pkg:generic/package-1,purl=pkg:generic/package-2,purl=pkg:generic/package-3,purl=pkg:generic/package-4,purl=pkg:generic/package-5,purl=pkg:generic/package-6,purl=pkg:generic/package-7,purl=pkg:generic/package-8,purl=pkg:generic/package-9,purl=pkg:generic/package-10,purl=pkg:generic/package-11,purl=pkg:generic/package-12}'::text[]
      ELSE '{}' END
    || ARRAY['sha256:' || pg_temp.digest_of('artifact ' || i)] $$;

-- As the ledger packs them: texts behind their lengths, and the digits of digests as bytes.
CREATE FUNCTION pg_temp.packed(keys text[]) RETURNS bytea IMMUTABLE LANGUAGE sql AS $$
  SELECT '\x01'::bytea || string_agg(CASE
      WHEN key LIKE 'sha256:%' THEN '\x0020'::bytea || decode(substr(key, 8), 'hex')
      WHEN key LIKE 'commit=%' THEN '\x08'::bytea || 'commit='::bytea || '\x14'::bytea || decode(substr(key, 8), 'hex')
      WHEN key ~ '^[0-9a-f]{64}$' THEN '\x0120'::bytea || decode(key, 'hex')
      ELSE set_byte('\x00'::bytea, 0, length(key) + 1) || convert_to(key, 'UTF8') || '\x00'::bytea
    END, ''::bytea ORDER BY place)
  FROM unnest(keys) WITH ORDINALITY AS of_entry(key, place) $$;

CREATE FUNCTION pg_temp.kind_of(i bigint, entries bigint) RETURNS text IMMUTABLE LANGUAGE sql AS $$
  SELECT CASE WHEN i IN (1000, entries / 3, entries / 2) THEN 'rpm:0.0.1'
    WHEN i % 8 = 1 THEN 'dsse:0.0.1' ELSE 'hashedrekord:0.0.1' END $$;

CREATE FUNCTION pg_temp.root_of(hashes bytea[]) RETURNS bytea IMMUTABLE STRICT LANGUAGE plpgsql AS $$
DECLARE
  half int := 1;
BEGIN
  IF cardinality(hashes) = 1 THEN RETURN hashes[1]; END IF;
  WHILE half * 2 < cardinality(hashes) LOOP half := half * 2; END LOOP;
  RETURN sha256('\x01'::bytea || pg_temp.root_of(hashes[:half]) || pg_temp.root_of(hashes[half + 1:]));
END $$;

SELECT tree_id AS tree FROM tree WHERE api = 'v1' \gset

\echo entries and bodies
INSERT INTO body (tree_id, leaf_index, body)
  SELECT :tree, i, convert_to(format('{"apiVersion":"0.0.1","kind":"%s","spec":{"data":{"hash":{"algorithm":"sha256","value":"%s"}},"made-up":"%s"}}',
    split_part(pg_temp.kind_of(i, :entries), ':', 1), pg_temp.digest_of('artifact ' || i), repeat('x', 400)), 'UTF8')
  FROM generate_series(0, :entries::bigint - 1) AS i;
INSERT INTO entry (tree_id, leaf_index, time, leaf_hash, kind, attested, index_keys, checksum)
  SELECT tree_id, leaf_index, time, leaf_hash, kind, false, pg_temp.packed(pg_temp.keys_of(leaf_index)),
    substr(sha256(convert_to('entry', 'UTF8') || '\x00'::bytea || int8send(tree_id) || int8send(leaf_index) || int8send(time) || leaf_hash || '\x00'::bytea || convert_to(kind, 'UTF8')), 1, 16)
  FROM (
    SELECT tree_id, leaf_index, 1700000000 + leaf_index / 10 AS time, sha256('\x00'::bytea || body) AS leaf_hash,
      pg_temp.kind_of(leaf_index, :entries) AS kind
    FROM body
  ) AS of_body ORDER BY leaf_index;

\echo index keys
INSERT INTO index_key (tree_id, key_hash, leaf_index)
  SELECT :tree, encode(substr(sha256(convert_to(key, 'UTF8')), 1, 16), 'hex')::uuid AS key_hash, i
  FROM generate_series(0, :entries::bigint - 1) AS i CROSS JOIN LATERAL unnest(pg_temp.keys_of(i)) AS key
  ORDER BY 2, 3;
\if :{?searches_only}
\else
INSERT INTO leaf (tree_id, hash_prefix, leaf_index)
  SELECT tree_id, encode(substr(leaf_hash, 1, 16), 'hex')::uuid, leaf_index FROM entry ORDER BY 2;
\endif

\echo tiles and head
INSERT INTO tile (tree_id, level, index, root, hashes)
  SELECT :tree, 0, leaf_index / 256, pg_temp.root_of(array_agg(leaf_hash ORDER BY leaf_index)),
    string_agg(leaf_hash, ''::bytea ORDER BY leaf_index)
  FROM entry WHERE leaf_index < :entries / 256 * 256 GROUP BY 3;
INSERT INTO tile (tree_id, level, index, root, hashes)
  SELECT :tree, 1, index / 256, pg_temp.root_of(array_agg(root ORDER BY index)), string_agg(root, ''::bytea ORDER BY index)
  FROM tile WHERE level = 0 AND index < :entries / 65536 * 256 GROUP BY 3;
-- The right edge, level by level: the root of a partial tile is the last node of the level above. Below 16,777,216 entries.
WITH level_0 AS (
  SELECT pg_temp.root_of(array_agg(leaf_hash ORDER BY leaf_index)) AS root
  FROM entry WHERE leaf_index >= :entries / 256 * 256
), level_1 AS (
  SELECT pg_temp.root_of(array_agg(root ORDER BY index)) AS root FROM (
    SELECT index, root FROM tile WHERE level = 0 AND index >= :entries / 65536 * 256
    UNION ALL SELECT :entries, root FROM level_0 WHERE root IS NOT NULL
  ) AS nodes
), level_2 AS (
  SELECT pg_temp.root_of(array_agg(root ORDER BY index)) AS root FROM (
    SELECT index, root FROM tile WHERE level = 1
    UNION ALL SELECT :entries, root FROM level_1 WHERE root IS NOT NULL
  ) AS nodes
)
INSERT INTO head (tree_id, prev_size, size, time, root)
  SELECT :tree, 0, :entries, 1700000000 + (:entries - 1) / 10, root FROM level_2;

VACUUM (ANALYZE) entry, body, index_key, tile;
