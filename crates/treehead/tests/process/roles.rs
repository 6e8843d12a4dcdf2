//! Two roles of Postgres, as `docs/OPERATING.md` makes them: one owns the tables, the other may only add to them.

use std::process::Output;

use crate::entries::{self, Author};
use crate::postgres::{self, Storage};
use crate::program::{self, Server, refusal};

const GUIDE: &str = include_str!("../../../../docs/OPERATING.md");
/// The two roles in the guide.
const OWNER: &str = "log_owner";
const SERVER: &str = "log_server";

#[test]
fn a_role_that_may_only_add_serves_what_another_one_migrated() {
    let Some(storage) = Storage::postgres() else { return };
    let roles = Roles::new(&storage);
    let owner = roles.url(OWNER);
    let server = roles.url(SERVER);

    // Nothing is there: the role is told what to run.
    let refused = refusal(&serve(&storage, &server).output().unwrap(), 4);
    assert!(refused.contains("treehead migrate") && !refused.contains("secret"), "{refused}");

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
    storage.execute("CREATE TABLE newest AS SELECT * FROM _sqlx_migrations ORDER BY version DESC LIMIT 1");
    storage.execute("DELETE FROM _sqlx_migrations WHERE version = (SELECT version FROM newest)");
    let refused = refusal(&serve(&storage, &server).output().unwrap(), 4);
    assert!(refused.contains("treehead migrate"), "{refused}");
    storage.execute("INSERT INTO _sqlx_migrations SELECT * FROM newest");

    let second = Server::start(&mut serve(&storage, &server));
    entries::assert_logged(second.api, &author, &logged);
    // No notice of tables that are there already.
    assert!(!second.log().contains("_sqlx_migrations"), "{}", second.log());

    // The owner rotates while the server runs; the server finishes the frozen tree.
    let rotated =
        program::program().args(["rotate", "--database", &owner, "--data-dir"]).arg(storage.data()).output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    entries::log(second.api, &author.sign("two"));
    second.stop();

    for statement in ["DELETE FROM entry", "UPDATE body SET body = ''", "DROP TABLE head", "TRUNCATE leaf"] {
        let refused = postgres::try_execute(&server, statement).unwrap_err();
        assert!(refused.contains("permission denied") || refused.contains("must be owner"), "{statement}: {refused}");
    }
    let fsck = program::run(&["fsck", "--database", &server]);
    assert!(fsck.status.success(), "{fsck:?}");
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
    prefix: String,
}

impl<'a> Roles<'a> {
    fn new(storage: &'a Storage) -> Self {
        let prefix = format!("t{}", std::process::id());
        let roles = Self { storage, prefix };
        let (_, rest) = GUIDE.split_once("### Two roles").unwrap();
        let (_, block) = rest.split_once("```sql\n").unwrap();
        let (block, _) = block.split_once("```").unwrap();
        storage.execute(&roles.renamed(block));
        for role in [OWNER, SERVER] {
            storage.execute(&format!("ALTER ROLE {} PASSWORD 'secret'", roles.renamed(role)));
        }
        roles
    }

    /// The guide's statements after the migration, which it gives to psql one by one.
    fn grants(&self) -> Vec<String> {
        let statements = GUIDE.split(" -c '").skip(1).filter_map(|rest| rest.split('\'').next());
        let statements = statements.filter(|statement| statement.contains("log_server"));
        statements.map(|statement| self.renamed(statement)).collect()
    }

    fn renamed(&self, text: &str) -> String {
        let database = self.storage.url().unwrap();
        let database = database.rsplit('/').next().unwrap().split('?').next().unwrap();
        let text = text.replace("DATABASE treehead", &format!("DATABASE {database}"));
        text.replace("log_owner", &format!("{}_owner", self.prefix))
            .replace("log_server", &format!("{}_server", self.prefix))
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
        for role in [SERVER, OWNER] {
            let role = self.renamed(role);
            self.storage
                .execute(&format!("REASSIGN OWNED BY {role} TO CURRENT_USER; DROP OWNED BY {role}; DROP ROLE {role}"));
        }
    }
}
