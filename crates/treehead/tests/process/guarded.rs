//! The guard in the data folder, read while no server has it open.

use ledger::guard::{FilePlace, Place as _};

use crate::postgres::Storage;
use crate::writer::Writer;

/// The guard has every head that an acknowledged entry was proved by, and the database has the
/// guard's heads.
pub(crate) fn assert_agrees(storage: &Storage, writers: &[Writer]) {
    let path = storage.data().join("guard");
    let found = FilePlace::open(&path).unwrap().read().unwrap();
    let heads = found.unwrap().heads;
    for head in &heads {
        let (tree, size, root) = (head.tree, head.size(), head.root());
        if size.0 == 0 {
            continue;
        }
        let digest = match storage.database() {
            Some(_) => format!("decode('{root}', 'hex')"),
            None => format!("x'{root}'"),
        };
        let rows = storage.count(&format!(
            "SELECT count(*) FROM head WHERE tree_id = {tree} AND size = {size} AND root = {digest}"
        ));
        assert_eq!(rows, 1, "the database lacks the head of {tree} at {size}");
    }
    for writer in writers {
        let (log, largest) = writer.largest_index();
        let head = heads.iter().find(|head| head.api == log);
        let size = head.map_or(0, |head| head.size().0);
        assert!(
            largest.is_none_or(|largest| largest < size),
            "{largest:?} of {log} was acknowledged, the guard has {size}"
        );
    }
}
