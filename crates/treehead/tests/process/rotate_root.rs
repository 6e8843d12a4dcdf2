//! Root rotates the log of a server that runs as another user, as with the systemd unit.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::entries::{self, Author};
use crate::postgres::Storage;
use crate::program::{self, Server};
use crate::rotate::{assert_rotates, frozen_trees, key_file, rotate};

/// The user of the server, who owns nothing else.
const USER: u32 = 65_533;

#[test]
fn root_rotates_the_log_of_another_user() {
    let storage = Storage::sqlite();
    if fs::metadata(storage.folder()).unwrap().uid() != 0 {
        println!("passed over: only root can start a server as another user");
        return;
    }
    // That user must reach the program and the data folder.
    fs::set_permissions(storage.folder(), Permissions::from_mode(0o755)).unwrap();
    let data = storage.data();
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, Permissions::from_mode(0o700)).unwrap();
    chown(&data, Some(USER), Some(USER)).unwrap();
    let program = storage.folder().join("treehead");
    fs::copy(env!("CARGO_BIN_EXE_treehead"), &program).unwrap();

    let server = Server::start(&mut serve(&program, &data));
    let author = Author::new("another user");
    entries::log(server.api, &author.sign("one"));
    assert_rotates(&mut rotate(&storage, &data, "v1"));
    assert_eq!(frozen_trees(server.api), 1);
    for path in [data.join("keys"), data.join("keys/v1-log-2.pem")] {
        let metadata = fs::metadata(&path).unwrap();
        let owner = (metadata.uid(), metadata.gid());
        assert_eq!(owner, (USER, USER), "{}", path.display());
        assert_eq!(metadata.mode() & 0o077, 0, "{}", path.display());
    }

    // A key that the server could not read is refused before anything changes.
    let by_hand = key_file(&storage, "by-hand.pem");
    fs::copy(data.join("v1-log.pem"), &by_hand).unwrap();
    fs::set_permissions(&by_hand, Permissions::from_mode(0o600)).unwrap();
    chown(&by_hand, Some(0), Some(0)).unwrap();
    let mut command = rotate(&storage, &data, "v1");
    let output = command.args(["--next-key", &by_hand]).output().unwrap();
    let stderr = program::text(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    let remedy = format!("chown {USER}:{USER} {by_hand}");
    assert!(stderr.contains(&remedy), "{stderr}");
    fs::remove_file(&by_hand).unwrap();
    entries::log(server.api, &author.sign("two"));
    server.stop();

    // Nor does root leave a file of its own behind where no server runs.
    assert_rotates(&mut rotate(&storage, &data, "v2"));
    let server = Server::start(&mut serve(&program, &data));
    entries::log(server.api, &author.sign("three"));
    server.stop();
    for entry in fs::read_dir(&data).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(
            fs::metadata(&path).unwrap().uid(),
            USER,
            "{}",
            path.display()
        );
    }
}

/// `serve` as that user, who belongs to no other group.
fn serve(program: &Path, data: &Path) -> Command {
    let template = program::serve(data);
    let mut command = Command::new(program);
    command.args(template.get_args()).env_clear();
    command.uid(USER).gid(USER);
    command
}
