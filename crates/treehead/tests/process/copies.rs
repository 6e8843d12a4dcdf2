//! Copies of a database or a data folder, made and put back as an administrator does.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::postgres::{self, Storage};

/// The database as it was.
pub(crate) enum Copy {
    /// Files of SQLite, in a folder of their own.
    Files(PathBuf),
    /// A database on the same server of Postgres.
    Database { server: String, name: String },
}

/// The file of SQLite and those beside it that a killed process leaves.
const FILES: [&str; 3] = ["treehead.db", "treehead.db-wal", "treehead.db-shm"];

static NEXT: AtomicU32 = AtomicU32::new(0);

impl Copy {
    /// Copies the database of a server that does not run.
    pub(crate) fn of(storage: &Storage) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let Some((server, database)) = storage.database() else {
            let folder = storage.folder().join(format!("copy-{number}"));
            fs::create_dir(&folder).unwrap();
            copy_files(&storage.data(), &folder);
            return Self::Files(folder);
        };
        let (server, name) = (server.to_owned(), format!("{database}_copy_{number}"));
        let copy = format!("CREATE DATABASE {name} TEMPLATE {database}");
        postgres::execute_postgres(&server, &copy);
        Self::Database { server, name }
    }

    /// Puts the copy in the place of the database of a server that does not run.
    pub(crate) fn put_back(&self, storage: &Storage) {
        remove_database(storage);
        match self {
            Self::Files(folder) => copy_files(folder, &storage.data()),
            Self::Database { server, name } => {
                let (_, database) = storage.database().unwrap();
                let copy = format!("CREATE DATABASE {database} TEMPLATE {name}");
                postgres::execute_postgres(server, &copy);
            }
        }
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        if let Self::Database { server, name } = self {
            postgres::execute_postgres(server, &format!("DROP DATABASE {name} WITH (FORCE)"));
        }
    }
}

/// Puts an empty database in the place of that of a server that does not run.
pub(crate) fn empty_database(storage: &Storage) {
    remove_database(storage);
    if let Some((server, database)) = storage.database() {
        postgres::execute_postgres(server, &format!("CREATE DATABASE {database}"));
    }
}

fn remove_database(storage: &Storage) {
    match storage.database() {
        Some((server, database)) => {
            let remove = format!("DROP DATABASE {database} WITH (FORCE)");
            postgres::execute_postgres(server, &remove);
        }
        None => FILES.iter().for_each(|name| {
            // Some are there only after a kill.
            let _ = fs::remove_file(storage.data().join(name));
        }),
    }
}

fn copy_files(from: &Path, to: &Path) {
    for name in FILES {
        let from = from.join(name);
        if from.exists() {
            fs::copy(from, to.join(name)).unwrap();
        }
    }
}

/// Copies a whole data folder.
pub(crate) fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for file in fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        let to = to.join(file.file_name());
        if file.file_type().unwrap().is_dir() {
            copy_folder(&file.path(), &to);
        } else {
            fs::copy(file.path(), to).unwrap();
        }
    }
}

/// Tables with a row for each entry.
const OF_ENTRIES: [&str; 6] = [
    "entry",
    "body",
    "leaf",
    "index_key",
    "signed_entry_timestamp",
    "attestation",
];

/// Takes from one log what came after it had this size, as an older copy of that log alone would.
/// No tile may have become full since.
pub(crate) fn put_aside(storage: &Storage, log: &str, size: u64) {
    let trees = format!("tree_id IN (SELECT tree_id FROM tree WHERE api = '{log}')");
    let mut moved = String::new();
    let mut take = |table: &str, newer: &str| {
        moved += &format!(
            "CREATE TABLE aside_{log}_{table} AS SELECT * FROM {table} WHERE {newer} AND {trees}; \
             DELETE FROM {table} WHERE {newer} AND {trees};"
        );
    };
    take("head", &format!("prev_size >= {size}"));
    for table in OF_ENTRIES {
        take(table, &format!("leaf_index >= {size}"));
    }
    storage.execute(&format!("BEGIN; {moved} COMMIT;"));
}

/// Puts in again what was put aside.
pub(crate) fn bring_back(storage: &Storage, log: &str) {
    let tables = ["head"].into_iter().chain(OF_ENTRIES);
    let back = |table| {
        format!(
            "INSERT INTO {table} SELECT * FROM aside_{log}_{table}; DROP TABLE aside_{log}_{table};"
        )
    };
    let back: String = tables.map(back).collect();
    storage.execute(&format!("BEGIN; {back} COMMIT;"));
}
