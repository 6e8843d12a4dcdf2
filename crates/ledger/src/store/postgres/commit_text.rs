//! The texts of the statement that sequences a round.

/// Makes the text of the statement: `$unlocked` is one more condition under which it may go on, and
/// `$claims` one more part of it.
///
/// The statement sequences a round, and is one transaction.
///
/// `guard` decides on one snapshot; `new_head` is the compare-and-set; everything else depends on
/// its row. The newest head must be the one that the round was sealed on. A head that was committed
/// after the snapshot is caught by the primary key. `stored` are the leaves of the round that are
/// in the tree already. There must be none; if that head is the newest one, no more can appear.
/// `SELECT … FROM head` never sees the row of `new_head` itself. A connection that holds the tree's
/// lock must not ask for it again, because while others wait for the lock, even its holder is
/// refused the weaker form. The clock is that of the moment at which the server had received the
/// statement, so that a busy server is not taken for one that is ahead.
macro_rules! commit_round {
    ($unlocked:literal, $claims:literal) => {
        concat!("WITH guard AS MATERIALIZED (
        SELECT
            EXISTS (
                SELECT FROM tree t JOIN tree_key k USING (tree_id)
                WHERE t.tree_id = $1 AND t.state = 'active' AND k.role = 'log' AND k.spki = $2
            ) AS ours,
            (extract(epoch FROM statement_timestamp()) * 1000)::bigint - $3 AS skew,
            coalesce((
                SELECT h.size = $5 AND h.root = $6 FROM head h WHERE h.tree_id = $1 ORDER BY h.prev_size DESC LIMIT 1
            ), $5 = 0) AS follows,
            CASE WHEN $10 THEN true ELSE pg_try_advisory_xact_lock_shared(-$1)", $unlocked, " END AS unlocked
    ), stored AS MATERIALIZED (
        SELECT l.leaf_index, e.leaf_hash
        FROM unnest($16::uuid[]) AS wanted
        CROSS JOIN LATERAL (
            SELECT leaf_index FROM leaf WHERE tree_id = $1 AND hash_prefix = wanted AND leaf_index < $5 OFFSET 0
        ) AS l
        CROSS JOIN LATERAL (
            SELECT leaf_hash FROM entry WHERE tree_id = $1 AND leaf_index = l.leaf_index AND leaf_hash = ANY ($11) LIMIT 1
        ) AS e
    ), new_head AS (
        INSERT INTO head (tree_id, prev_size, size, root, time)
        SELECT $1, $5, $7, $8, $9 FROM guard
        WHERE ours AND abs(skew) <= $4 AND follows AND unlocked AND NOT EXISTS (SELECT FROM stored)
        ON CONFLICT DO NOTHING
        RETURNING tree_id
    ), new_entry AS (
        INSERT INTO entry (tree_id, leaf_index, time, leaf_hash, kind, attested, index_keys, checksum)
        SELECT n.tree_id, $5 + r.place - 1, $9, r.leaf_hash, r.kind, r.attested, r.index_keys, r.checksum
        FROM new_head n, unnest($11::bytea[], $12::text[], $13::boolean[], $14::bytea[], $29::bytea[])
            WITH ORDINALITY AS r(leaf_hash, kind, attested, index_keys, checksum, place)
    ), new_body AS (
        INSERT INTO body (tree_id, leaf_index, body)
        SELECT n.tree_id, $5 + r.place - 1, r.body
        FROM new_head n, unnest($15::bytea[]) WITH ORDINALITY AS r(body, place)
    ), new_leaf AS (
        INSERT INTO leaf (tree_id, hash_prefix, leaf_index)
        SELECT n.tree_id, r.hash_prefix, r.leaf_index
        FROM new_head n, unnest($16::uuid[], $17::bigint[]) AS r(hash_prefix, leaf_index)
    ), new_index_key AS (
        INSERT INTO index_key (tree_id, key_hash, leaf_index)
        SELECT n.tree_id, r.key_hash, r.leaf_index
        FROM new_head n, unnest($18::uuid[], $19::bigint[]) AS r(key_hash, leaf_index)
    ), new_attestation AS (
        INSERT INTO attestation (tree_id, leaf_index, digest, data)
        SELECT n.tree_id, r.leaf_index, r.digest, r.data
        FROM new_head n, unnest($20::bigint[], $21::bytea[], $22::bytea[]) AS r(leaf_index, digest, data)
    ), new_tile AS (
        INSERT INTO tile (tree_id, level, index, root, hashes)
        SELECT n.tree_id, r.level, r.index, r.root, r.hashes
        FROM new_head n, unnest($23::smallint[], $24::bigint[], $25::bytea[], $26::bytea[]) AS r(level, index, root, hashes)
    ), new_timestamp AS (
        INSERT INTO signed_entry_timestamp (tree_id, leaf_index, signature, checksum)
        SELECT n.tree_id, r.leaf_index, r.signature, r.checksum
        FROM new_head n, unnest($27::bigint[], $28::bytea[], $30::bytea[]) AS r(leaf_index, signature, checksum)
        ON CONFLICT DO NOTHING
    )", $claims, "
    SELECT g.ours, g.skew, g.follows AND g.unlocked AS current, EXISTS (SELECT FROM new_head) AS done,
        (SELECT array_agg(leaf_index ORDER BY leaf_index) FROM stored) AS stored_indexes,
        (SELECT array_agg(leaf_hash ORDER BY leaf_index) FROM stored) AS stored_hashes
    FROM guard g", "")
    };
}

/// Sequences a round without claims.
pub(super) const COMMIT_ROUND: &str = commit_round!("", "");

/// Sequences a round with claims, if none of them is stored. One that is stored after the snapshot
/// is caught by the unique index.
pub(super) const COMMIT_ROUND_CLAIMS: &str = commit_round!(
    " AND pg_try_advisory_xact_lock_shared(0)",
    ", new_claim AS (
        INSERT INTO claim (tree_id, leaf_index, name_hash, name_case, name, packed_values)
        SELECT n.tree_id, r.leaf_index, r.name_hash, r.name_case, r.name, r.packed_values
        FROM new_head n, unnest($31::uuid[], $32::bigint[], $33::bigint[], $34::bytea[], $35::bytea[])
            AS r(name_hash, name_case, leaf_index, name, packed_values)
    )"
);

/// Sequences a round with claims, and leaves out those that are stored.
pub(super) const COMMIT_ROUND_ABSENT_CLAIMS: &str = commit_round!(
    " AND pg_try_advisory_xact_lock_shared(0)",
    ", new_claim AS (
        INSERT INTO claim (tree_id, leaf_index, name_hash, name_case, name, packed_values)
        SELECT n.tree_id, r.leaf_index, r.name_hash, r.name_case, r.name, r.packed_values
        FROM new_head n, unnest($31::uuid[], $32::bigint[], $33::bigint[], $34::bytea[], $35::bytea[])
            AS r(name_hash, name_case, leaf_index, name, packed_values)
        ON CONFLICT DO NOTHING
    )"
);
