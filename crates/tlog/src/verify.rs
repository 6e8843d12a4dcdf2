//! Verification of proofs, in the numbered steps of RFC 9162. The hashes are those of RFC 6962.

use crate::proof::{check_consistency_range, check_inclusion_range};
use crate::{EMPTY_ROOT, Hash, LeafIndex, ProofError, TreeSize, node_hash};

/// Verifies an inclusion proof (RFC 9162 section 2.1.3.2).
pub fn verify_inclusion(
    leaf_hash: &Hash,
    index: LeafIndex,
    size: TreeSize,
    root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    // Steps 1 to 4, and of step 5 that sn is 0.
    let r = root_of_inclusion(leaf_hash, index, size, proof)?;
    // 5. Compare r with the root hash.
    check_root(&r, root)
}

/// Returns the root to which an inclusion proof leads (RFC 9162 section 2.1.3.2, without the last
/// comparison). It proves nothing before somebody signed that root.
pub fn root_of_inclusion(
    leaf_hash: &Hash,
    index: LeafIndex,
    size: TreeSize,
    proof: &[Hash],
) -> Result<Hash, ProofError> {
    // 1. Compare leaf_index with tree_size; fail if it is not smaller.
    check_inclusion_range(index, size)?;
    check_length(path_length(index.0, size.0 - 1), proof)?;

    // 2. Set fn to leaf_index and sn to tree_size - 1.
    let mut nodes = Nodes {
        first: index.0,
        second: size.0 - 1,
    };
    // 3. Set r to hash.
    let mut r = *leaf_hash;
    // 4. For each value p of the inclusion path:
    for p in proof {
        // 4.a. If sn is 0, stop and fail. (The length was checked.)
        // 4.b. If LSB(fn) is set, or if fn equals sn:
        if nodes.is_right_child() {
            // 4.b.i. Set r to HASH(0x01 || p || r).
            r = node_hash(p, &r);
            // 4.b.ii. If LSB(fn) is not set, right-shift both until LSB(fn) is set or fn is 0.
            nodes.skip_lone();
        } else {
            // Otherwise: set r to HASH(0x01 || r || p).
            r = node_hash(&r, p);
        }
        // 4.c. Right-shift both one time.
        nodes.up();
    }
    // 5. Compare sn with 0.
    check_at_root(&nodes, proof)?;
    Ok(r)
}

/// Verifies a consistency proof (RFC 9162 section 2.1.4.2). `first` of 0 is consistent with
/// everything if its root is [`crate::EMPTY_ROOT`] and the proof is empty; equal sizes are if the
/// roots are equal and the proof is empty.
pub fn verify_consistency(
    first: TreeSize,
    first_root: &Hash,
    second: TreeSize,
    second_root: &Hash,
    proof: &[Hash],
) -> Result<(), ProofError> {
    check_consistency_range(first, second)?;
    // The RFC leaves out these two cases, in which there is nothing to compute.
    if first.0 == 0 {
        check_length(0, proof)?;
        check_root(&EMPTY_ROOT, first_root)?;
        return if second.0 == 0 {
            check_root(&EMPTY_ROOT, second_root)
        } else {
            Ok(())
        };
    }
    if first == second {
        check_length(0, proof)?;
        return check_root(first_root, second_root);
    }
    let height = first.0.trailing_zeros();
    let is_power_of_two = first.0.is_power_of_two();
    let above = path_length((first.0 - 1) >> height, (second.0 - 1) >> height);
    check_length(above + usize::from(!is_power_of_two), proof)?;

    // 1. If consistency_path is empty, stop and fail. (The length was checked: it has one hash or
    //    more.)
    // 2. If first is an exact power of 2, prepend first_hash to consistency_path.
    let (start, path) = match proof.split_first() {
        Some((start, path)) if !is_power_of_two => (start, path),
        _ => (first_root, proof),
    };
    // 3. Set fn to first - 1 and sn to second - 1.
    let mut nodes = Nodes {
        first: first.0 - 1,
        second: second.0 - 1,
    };
    // 4. If LSB(fn) is set, right-shift both until LSB(fn) is not set.
    nodes.first >>= height;
    nodes.second >>= height;
    // 5. Set fr and sr to the first value of consistency_path.
    let (mut fr, mut sr) = (*start, *start);
    // 6. For each subsequent value c of consistency_path:
    for c in path {
        // 6.a. If sn is 0, stop and fail. (The length was checked.)
        // 6.b. If LSB(fn) is set, or if fn equals sn:
        if nodes.is_right_child() {
            // 6.b.i. Set fr to HASH(0x01 || c || fr), sr to HASH(0x01 || c || sr).
            fr = node_hash(c, &fr);
            sr = node_hash(c, &sr);
            // 6.b.ii. If LSB(fn) is not set, right-shift both until LSB(fn) is set or fn is 0.
            nodes.skip_lone();
        } else {
            // Otherwise: set sr to HASH(0x01 || sr || c).
            sr = node_hash(&sr, c);
        }
        // 6.c. Right-shift both one time.
        nodes.up();
    }
    // 7. Verify that fr equals first_hash, sr equals second_hash, and sn is 0.
    check_root(&fr, first_root)?;
    check_root(&sr, second_root)?;
    check_at_root(&nodes, proof)
}

/// The RFC's fn and sn: at one height, the position of the node on the path and the position of the
/// last node of the tree.
struct Nodes {
    first: u64,
    second: u64,
}

impl Nodes {
    fn is_right_child(&self) -> bool {
        self.first & 1 == 1 || self.first == self.second
    }

    /// Passes the heights at which the node has no sibling.
    fn skip_lone(&mut self) {
        while self.first & 1 == 0 && self.first != 0 {
            self.up();
        }
    }

    fn up(&mut self) {
        self.first >>= 1;
        self.second >>= 1;
    }
}

/// Siblings on the way from node `position` to the root where the last node of that height is
/// `last`: all up to where the two ways meet, and from there on those to the left.
fn path_length(position: u64, last: u64) -> usize {
    let inner = u64::BITS - (position ^ last).leading_zeros();
    let border = position.checked_shr(inner).unwrap_or(0).count_ones();
    (inner + border) as usize
}

fn check_length(want: usize, proof: &[Hash]) -> Result<(), ProofError> {
    let got = proof.len();
    if want == got {
        Ok(())
    } else {
        Err(ProofError::Length { want, got })
    }
}

fn check_at_root(nodes: &Nodes, proof: &[Hash]) -> Result<(), ProofError> {
    let missing = u64::BITS - nodes.second.leading_zeros();
    check_length(proof.len() + missing as usize, proof)
}

fn check_root(computed: &Hash, expected: &Hash) -> Result<(), ProofError> {
    if computed == expected {
        Ok(())
    } else {
        Err(ProofError::RootMismatch {
            computed: *computed,
            expected: *expected,
        })
    }
}
