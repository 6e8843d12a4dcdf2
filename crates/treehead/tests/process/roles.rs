//! Two roles of Postgres, as `docs/OPERATING.md` makes them: one owns the tables, the other may
//! only add to them.

use std::process::Output;

use crate::entries::{self, Author};
use crate::postgres::{self, Storage};
use crate::program::{self, Server, refusal};

const GUIDE: &str = include_str!("../../../../docs/OPERATING.md");
/// The two roles in the guide.
const OWNER: &str = "log_owner";
const SERVER: &str = "log_server";
/// The one role that served before.
const BEFORE: &str = "treehead_before";

#[test]
fn a_role_that_may_only_add_serves_what_another_one_migrated() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let roles = Roles::new(&storage);
    let owner = roles.url(OWNER);
    let server = roles.url(SERVER);

    // Nothing is there: the role is told what to run.
    let refused = refusal(&serve(&storage, &server).output().unwrap(), 4);
    assert!(
        refused.contains("treehead migrate") && !refused.contains("secret"),
        "{refused}"
    );

    let migrated = migrate(&owner);
    assert!(migrated.status.success(), "{migrated:?}");
    for statement in roles.grants() {
        postgres::try_execute(&owner, &statement).unwrap();
    }
    let first = Server::start(&mut serve(&storage, &server));
    let author = Author::new("roles");
    let logged = entries::log(first.api, &author.sign("one"));
    first.stop();

    // The schema of an older release: likewise.
    storage.execute(
        "CREATE TABLE newest AS SELECT * FROM _sqlx_migrations ORDER BY version DESC LIMIT 1",
    );
    storage.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT version FROM newest)");
    let refused = refusal(&serve(&storage, &server).output().unwrap(), 4);
    assert!(refused.contains("treehead migrate"), "{refused}");
    storage.execute("INSERT INTO _sqlx_migrations SELECT * FROM newest");

    let second = Server::start(&mut serve(&storage, &server));
    entries::assert_logged(second.api, &author, &logged);
    // No notice of tables that are there already.
    assert!(
        !second.log().contains("_sqlx_migrations"),
        "{}",
        second.log()
    );

    // The owner rotates while the server runs; the server finishes the frozen tree.
    let rotated = program::program()
        .args(["rotate", "--log", "v1", "--database", &owner, "--data-dir"])
        .arg(storage.data())
        .output()
        .unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    entries::log(second.api, &author.sign("two"));
    second.stop();

    assert_may_only_add(&server);
    let fsck = program::run(&["fsck", "--database", &server]);
    assert!(fsck.status.success(), "{fsck:?}");
}

#[test]
fn a_database_that_one_role_served_is_handed_over_to_two() {
    let Some(storage) = Storage::postgres() else {
        return;
    };
    let roles = Roles::new(&storage);
    let first = Server::start(&mut serve(&storage, &roles.url(BEFORE)));
    let author = Author::new("handed over");
    let logged = entries::log(first.api, &author.sign("one"));
    first.stop();

    storage.execute(&roles.block(1));
    let server = roles.url(SERVER);
    let second = Server::start(&mut serve(&storage, &server));
    entries::assert_logged(second.api, &author, &logged);
    entries::log(second.api, &author.sign("two"));
    second.wait_for_log("serving");
    assert!(
        !second.log().contains("permission denied"),
        "{}",
        second.log()
    );
    second.stop();
    assert_may_only_add(&server);
    let migrated = migrate(&roles.url(OWNER));
    assert!(migrated.status.success(), "{migrated:?}");
}

fn assert_may_only_add(server: &str) {
    for statement in [
        "DELETE FROM entry",
        "UPDATE body SET body = ''",
        "DROP TABLE head",
        "TRUNCATE leaf",
        "INSERT INTO _sqlx_migrations SELECT * FROM _sqlx_migrations",
    ] {
        let refused = postgres::try_execute(server, statement).unwrap_err();
        assert!(
            refused.contains("permission denied") || refused.contains("must be owner"),
            "{statement}: {refused}"
        );
    }
    postgres::try_execute(server, "UPDATE server SET name = name; DELETE FROM server").unwrap();
}

fn serve(storage: &Storage, url: &str) -> std::process::Command {
    let mut command = program::serve(&storage.data());
    command.args(["--database", url]);
    command
}

fn migrate(url: &str) -> Output {
    program::run(&["migrate", "--database", url])
}

/// The guide's roles under names that no other test has, because roles belong to the whole server.
struct Roles<'a> {
    storage: &'a Storage,
    database: String,
}

impl<'a> Roles<'a> {
    fn new(storage: &'a Storage) -> Self {
        let url = storage.url().unwrap();
        let database = url
            .rsplit('/')
            .next()
            .unwrap()
            .split('?')
            .next()
            .unwrap()
            .to_owned();
        let roles = Self { storage, database };
        storage.execute(&roles.renamed(&format!(
            "CREATE ROLE {BEFORE} LOGIN; GRANT CREATE ON DATABASE treehead TO {BEFORE}; \
             GRANT USAGE, CREATE ON SCHEMA public TO {BEFORE}"
        )));
        storage.execute(&roles.block(0));
        for role in [BEFORE, OWNER, SERVER] {
            storage.execute(&format!(
                "ALTER ROLE {} PASSWORD 'secret'",
                roles.renamed(role)
            ));
        }
        roles
    }

    /// One of the guide's blocks of statements, for its administrator.
    fn block(&self, number: usize) -> String {
        let (_, rest) = GUIDE.split_once("### Two roles").unwrap();
        let block = rest.split("```sql\n").nth(number + 1).unwrap();
        self.renamed(block.split_once("```").unwrap().0)
    }

    /// The guide's statements after the migration, which it gives to psql one by one.
    fn grants(&self) -> Vec<String> {
        let statements = GUIDE
            .split(" -c '")
            .skip(1)
            .filter_map(|rest| rest.split('\'').next());
        let statements = statements.filter(|statement| statement.contains("log_server"));
        statements
            .map(|statement| self.renamed(statement))
            .collect()
    }

    fn renamed(&self, text: &str) -> String {
        let database = &self.database;
        text.replace("BY treehead TO", &format!("BY {BEFORE} TO"))
            .replace(BEFORE, &format!("{database}_before"))
            .replace("DATABASE treehead TO", &format!("DATABASE {database} TO"))
            .replace("log_owner", &format!("{database}_owner"))
            .replace("log_server", &format!("{database}_server"))
    }

    fn url(&self, role: &str) -> String {
        let url = self.storage.url().unwrap();
        let (scheme, rest) = url.split_once("://").unwrap();
        let (_, rest) = rest.split_once('@').unwrap();
        format!("{scheme}://{}:secret@{rest}", self.renamed(role))
    }
}

impl Drop for Roles<'_> {
    fn drop(&mut self) {
        for role in [SERVER, OWNER, BEFORE] {
            let role = self.renamed(role);
            self.storage.execute(&format!(
                "REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"
            ));
        }
    }
}
