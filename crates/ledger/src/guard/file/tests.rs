use std::os::unix::fs::{PermissionsExt, chown, symlink};

use tempfile::TempDir;

use super::*;
use crate::guard::samples::two_logs;

fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard");
    (folder, path)
}

/// Returns the heads that a new process would find.
fn reopened(path: &Path) -> Result<Option<GuardedHeads>, PlaceError> {
    FilePlace::open(path).unwrap().read()
}

fn bytes_of(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

#[test]
fn the_newest_heads_come_back() {
    let (_folder, path) = place();
    assert_eq!(reopened(&path).unwrap(), None);
    for size in 0..5 {
        let heads = two_logs(size, 300 * size);
        let mut place = FilePlace::open(&path).unwrap();
        place.write(&heads).unwrap();
        assert_eq!(place.read().unwrap(), Some(heads.clone()));
        drop(place);
        assert_eq!(reopened(&path).unwrap(), Some(heads));
    }
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, MODE);
}

#[test]
fn the_file_never_grows_and_leaves_no_other_file() {
    let (folder, path) = place();
    let mut place = FilePlace::open(&path).unwrap();
    let size = path.metadata().unwrap().len();
    for _ in 0..3 {
        place.write(&two_logs(1, 70_000)).unwrap();
    }
    assert_eq!(path.metadata().unwrap().len(), size);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn one_process_at_a_time() {
    let (_folder, path) = place();
    let held = FilePlace::open(&path).unwrap();
    let refused = FilePlace::open(&path).unwrap_err().to_string();
    assert!(
        refused.contains("another server keeps this guard"),
        "{refused}"
    );
    assert!(FilePlace::open_unused(&path).unwrap().is_none());
    assert_eq!(FilePlace::read_only(&path).unwrap(), None);
    drop(held);
    FilePlace::open(&path).unwrap();
}

#[test]
fn a_file_can_be_read_while_a_server_keeps_it() {
    let (folder, path) = place();
    assert_eq!(FilePlace::read_only(&path).unwrap(), None);
    assert!(!path.exists());
    let mut place = FilePlace::open(&path).unwrap();
    place.write(&two_logs(3, 4)).unwrap();
    assert_eq!(FilePlace::read_only(&path).unwrap(), Some(two_logs(3, 4)));
    FilePlace::read_only(folder.path()).unwrap_err();
}

/// Whatever part of a write reaches the disk, the heads before it or its own are there.
#[test]
fn a_torn_write_leaves_the_heads_before_it() {
    let (_folder, path) = place();
    let (old, new) = (two_logs(3, 4), two_logs(5, 600));
    let mut place = FilePlace::open(&path).unwrap();
    place.write(&old).unwrap();
    place.write(&old).unwrap();
    let before = bytes_of(&path);
    place.write(&new).unwrap();
    let after = bytes_of(&path);
    drop(place);
    let changed: Vec<usize> = (0..after.len())
        .filter(|at| before[*at] != after[*at])
        .collect();
    let (start, end) = (changed[0], changed[changed.len() - 1] + 1);
    for cut in (start..end).step_by(97) {
        for torn in [
            [&after[..cut], &before[cut..]].concat(),
            [&before[..cut], &after[cut..]].concat(),
        ] {
            fs::write(&path, &torn).unwrap();
            let found = reopened(&path).unwrap();
            assert!(
                found == Some(old.clone()) || found == Some(new.clone()),
                "cut at {cut}"
            );
        }
    }
}

#[test]
fn a_damaged_block_falls_back_to_the_other_and_is_written_next() {
    let (_folder, path) = place();
    let heads = |size| two_logs(size, size);
    let mut place = FilePlace::open(&path).unwrap();
    for size in 1..=4 {
        place.write(&heads(size)).unwrap();
    }
    drop(place);
    let good = bytes_of(&path);
    for (block, left) in [(0, 3), (1, 4)] {
        let mut bytes = good.clone();
        // The fourth write went to the first block, because the second one was the first written.
        let at = BLOCKS[block] as usize + HEADER_BYTES + 40;
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let mut place = FilePlace::open(&path).unwrap();
        assert_eq!(place.read().unwrap(), Some(heads(left)));
        assert_eq!(place.next.offset, BLOCKS[block]);
        place.write(&heads(5)).unwrap();
        drop(place);
        assert_eq!(reopened(&path).unwrap(), Some(heads(5)));
    }
}

#[test]
fn every_flipped_byte_of_a_block_is_found() {
    let block = encode_block(7, &two_logs(2, 3).encode());
    for at in 0..block.len() {
        let mut flipped = block.clone();
        flipped[at] ^= 0x01;
        assert!(decode_block(&flipped).is_none(), "byte {at}");
    }
    for end in 0..block.len() {
        assert!(decode_block(&block[..end]).is_none(), "cut at {end}");
    }
    assert!(decode_block(&vec![0; BLOCK_BYTES]).is_none());
}

#[test]
fn a_file_without_a_whole_block_is_damaged_and_not_empty() {
    let (_folder, path) = place();
    let full = {
        drop(FilePlace::open(&path).unwrap());
        bytes_of(&path)
    };
    for bytes in [Vec::new(), vec![0; full.len()], full[..40].to_vec()] {
        fs::write(&path, &bytes).unwrap();
        let fault = reopened(&path).unwrap_err().to_string();
        assert!(fault.contains("damaged"), "{fault}");
        let mut place = FilePlace::open(&path).unwrap();
        place.write(&two_logs(1, 1)).unwrap();
        drop(place);
        assert_eq!(reopened(&path).unwrap(), Some(two_logs(1, 1)));
    }
}

#[test]
fn a_creation_that_was_cut_off_is_done_again() {
    let (folder, path) = place();
    fs::write(folder.path().join("guard.new"), b"half").unwrap();
    assert_eq!(reopened(&path).unwrap(), None);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_file_that_was_replaced_takes_nothing_and_a_removed_one_begins_anew() {
    let (_folder, path) = place();
    let mut place = FilePlace::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    place.write(&two_logs(1, 1)).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, b"another").unwrap();
    let fault = place.write(&two_logs(2, 2)).unwrap_err().to_string();
    assert!(fault.contains("replaced"), "{fault}");
    fs::remove_file(&path).unwrap();
    place.write(&two_logs(2, 2)).unwrap();
    drop(place);
    assert_eq!(reopened(&path).unwrap(), Some(two_logs(2, 2)));
}

/// Only root can give files away; for others there is nothing to test.
#[test]
fn a_file_that_root_creates_belongs_to_the_owner_of_the_folder() {
    let (folder, path) = place();
    let (nobody, nogroup) = (65_534, 65_534);
    if chown(folder.path(), Some(nobody), Some(nogroup)).is_err() {
        return;
    }
    FilePlace::open(&path).unwrap();
    let file = path.metadata().unwrap();
    assert_eq!((file.uid(), file.gid()), (nobody, nogroup));
}

#[test]
fn what_is_no_file_or_has_no_folder_is_refused() {
    let (folder, path) = place();
    FilePlace::open(folder.path()).unwrap_err();
    FilePlace::open(&folder.path().join("absent/guard")).unwrap_err();
    symlink(folder.path().join("not-mounted/guard"), &path).unwrap();
    let fault = FilePlace::open(&path).unwrap_err().to_string();
    assert!(fault.contains("guard"), "{fault}");
    assert!(path.is_symlink());
    let victim = folder.path().join("victim");
    fs::write(&victim, b"text").unwrap();
    fs::remove_file(&path).unwrap();
    symlink(&victim, folder.path().join("guard.new")).unwrap();
    FilePlace::open(&path).unwrap_err();
    assert_eq!(fs::read(&victim).unwrap(), b"text");
}
