//! All settings, in the order of the sample file.

use super::setting::{Kind, Setting};

const ALGORITHM: Kind = Kind::Word("ALGORITHM", &["ed25519", "ecdsa-p256"]);
const UNIQUENESS: Kind = Kind::Word("RULE", &["off", "warn", "refuse"]);
const UNJUDGED: Kind = Kind::Word("RULE", &["accept", "refuse"]);
const ANSWER: Kind = Kind::Word("ANSWER", &["conflict", "stored"]);
const FORMAT: Kind = Kind::Word("FORMAT", &["text", "json"]);
const NAMES: Kind = Kind::List("NAMES");
const COUNT: Kind = Kind::Number("COUNT");
const SECONDS: Kind = Kind::Number("SECONDS");

/// Every setting. A new one is a row here and a field of [`super::Config`].
pub(crate) static SETTINGS: [Setting; 38] = [
    Setting::new("ledger", "name", "name", Kind::Text("NAME"))
        .help(
            "Name of the ledger: the host name that clients use. Given when the ledger is created, \
             never changes [default for a new ledger: localhost]",
        )
        .text(
            "The name of the ledger, given once, when it is created: it is in every checkpoint and \
             never changes. Use the host name under which clients reach the ledger, in lower case, \
             without scheme, port or path. Without it a new ledger is called `localhost`, which is \
             for trying things out only. Later starts need no name; a start with another name is \
             refused.",
        )
        .example("\"log.example.org\""),
    Setting::new("ledger", "logs", "logs", Kind::List("LOGS"))
        .help(
            "Logs of the ledger, comma-separated: v1, v2. Given when the ledger is created [default \
             for a new ledger: v1,v2]",
        )
        .text(
            "The logs that a new ledger gets, each of which takes entries by one API: v1, for the \
             clients of Rekor v1, and v2, for those of Rekor v2. Later starts need no list; a start \
             with another list is refused. `treehead log add` adds the other log later.",
        )
        .example("[\"v1\", \"v2\"]"),
    Setting::new("v1", "key", "v1-key", Kind::File)
        .help(
            "File of the key of the v1 log, created with the log [default: v1-log.pem in the \
             data folder]",
        )
        .text(
            "The private key of the v1 log: ECDSA P-256 in PEM, which is all that Rekor v1's \
             clients verify, readable by nobody but its owner and group. Created at the first \
             start, never overwritten. Default: v1-log.pem in the data folder. Keep a copy of it \
             apart from the copies of the database.",
        )
        .example("\"/etc/treehead/v1-log.pem\""),
    Setting::new("v1", "checkpoint-key", "v1-checkpoint-key", Kind::File)
        .help(
            "File of the Ed25519 key of the C2SP checkpoints of the v1 log, created with the \
             log [default: v1-checkpoint.pem in the data folder]",
        )
        .text(
            "The Ed25519 key that signs the C2SP checkpoints of the v1 log, which witnesses \
             cosign. It is created, kept and copied like the key above, and never signs the texts \
             of Rekor v1. Default: v1-checkpoint.pem in the data folder.",
        )
        .example("\"/etc/treehead/v1-checkpoint.pem\""),
    Setting::new("v2", "name", "v2-name", Kind::Text("HOST"))
        .help(
            "Host name of the v2 log, if it has one of its own. Given when the log is created, \
             never changes [default: the name of the ledger]",
        )
        .text(
            "The host name under which clients reach the v2 log, if it is not the name of the \
             ledger: the origin of the checkpoints of the log. Given once, when the log is created.",
        )
        .example("\"log2026.example.org\""),
    Setting::new("v2", "key", "v2-key", Kind::File)
        .help(
            "File of the key of the v2 log, created with the log [default: v2-log.pem in the \
             data folder]",
        )
        .text(
            "The private key of the v2 log, Ed25519 or ECDSA P-256 in PEM. It is created, kept \
             and copied like the keys of v1. Default: v2-log.pem in the data folder.",
        )
        .example("\"/etc/treehead/v2-log.pem\""),
    Setting::new("v2", "key-algorithm", "v2-key-algorithm", ALGORITHM)
        .help(
            "Algorithm of a key that is created for the v2 log [default: ed25519, and any for \
             a key that exists]",
        )
        .text(
            "The algorithm of a key that is created for the v2 log: ed25519 (the default) or \
             ecdsa-p256. Witnesses ask for Ed25519. If it is given, a key file that exists when the \
             log is created must have this algorithm.",
        )
        .example("\"ed25519\""),
    Setting::new("keys", "folder", "key-dir", Kind::Folder)
        .help("Folder of further log keys, which rotations create [default: keys in the data folder]")
        .text(
            "Folder of further log keys, files that end in .pem: `treehead rotate` puts the next \
             key there, and running servers read it from there. Default: keys in the data folder.",
        )
        .example("\"/etc/treehead/keys\""),
    Setting::new("database", "data-dir", "data-dir", Kind::Folder)
        .help("Folder of the SQLite database and the keys")
        .text(
            "Folder of the SQLite database, the keys and the lock that keeps a second server off; \
             created with mode 0700. With Postgres the keys are in it all the same, unless the \
             settings above name other files.",
        ),
    Setting::new("database", "url", "database", Kind::Text("URL"))
        .help(
            "Postgres database to use instead of SQLite, postgres://…; a URL with a password \
             belongs into a file",
        )
        .text(
            "Postgres instead of SQLite: the URL of the primary itself, without a pooler in \
             between. It may name the standbys as well (db1,db2); the primary among them is used. \
             Any number of servers may share it, and start at the same time.",
        )
        .example("\"postgres://treehead@db.example.org/treehead?sslmode=verify-full\""),
    Setting::new("database", "url-file", "database-file", Kind::File)
        .help("File that holds the URL of the Postgres database")
        .text(
            "A file whose first line is that URL, for a URL with a password. Only one of the two.",
        )
        .example("\"/run/credentials/treehead.service/database-url\""),
    Setting::new("guard", "places", "guard", Kind::List("PLACES"))
        .help(
            "Places outside the data folder where the newest heads are kept, comma-separated: files, \
             s3://BUCKET/KEY?endpoint=URL&region=NAME, URLs of other servers of the ledger",
        )
        .text(
            "Where the newest head of each log is kept outside the database, so that an older copy of \
             the database is noticed at a start. A file `guard` in the data folder always has them; \
             but a restore of that folder brings back an older one, so name a place that no restore of the \
             database touches: a file on another volume (its folder must exist), an object in an \
             S3-compatible store, or the URL of another server of this ledger, which is only asked at \
             a start. A head is stored in at least one file or object before anybody sees it, and in all \
             that answer within a second, so a far object store slows writes down. Several servers: name \
             an object that all share, or let them name each other.",
        )
        .example("[\"/var/lib/treehead-guard/guard\"]"),
    Setting::new("server", "listen", "listen", Kind::Address)
        .help("Host and port of the API, or :3000 for every address")
        .text(
            "Host and port; \":3000\" is every address of the machine, and port 0 a free port, \
             which is printed. The server speaks plain HTTP, and everyone who reaches it may write: \
             where clients are on other machines, put a proxy in front of it that does TLS and \
             decides who may write.",
        )
        .empty_is_unset(),
    Setting::new("server", "metrics-listen", "metrics-listen", Kind::Address)
        .help("Host and port of the Prometheus metrics")
        .text("Prometheus metrics, on a listener of their own, so that no proxy rule can leak them.")
        .empty_is_unset(),
    Setting::new("server", "read-only", "read-only", Kind::Switch)
        .help("Refuse every write, by whichever API it comes")
        .text(
            "Refuse every write: by v1, batches, v2 and gRPC. For this server, not for the logs: \
             others may write to the same database. A read-only server still signs what reads \
             need, and it never creates a ledger.",
        ),
    Setting::new(
        "server",
        "enabled-api-endpoints",
        "enabled-api-endpoints",
        NAMES,
    )
    .help("Operations of the APIs that are served, comma-separated [default: all]")
    .text(
        "Operations that are served, by their operationId in /swagger.json; gRPC's CreateEntry is \
         createEntry. Default: all; others are answered with 501. Documents and probes are always \
         served. This list shows single entries and proofs to clients of v1 that know what they \
         ask for, and nothing else.",
    )
    .example(
        "[\"getLogInfo\", \"getPublicKey\", \"getLogProof\", \"getLogEntryByIndex\", \"getLogEntryByUUID\"]",
    ),
    Setting::new("server", "public", "public", Kind::Switch)
        .help("Anybody may read this ledger: web pages of all origins too")
        .text(
            "Anybody may read this ledger: then web pages of all origins may read it through their \
             visitors' browsers, and shared caches may keep its tiles. It opens nothing: who \
             reaches the server is a matter of the network and the proxy.",
        ),
    Setting::new(
        "server",
        "cors-origins",
        "cors-origins",
        Kind::List("ORIGINS"),
    )
    .help("Origins of web pages that may read and write, comma-separated")
    .text(
        "Origins of web pages that may read and write through a browser, such as \
         \"https://search.example.org\". Default: none. A browser that writes for any other page \
         gets 403.",
    ),
    Setting::new(
        "server",
        "stop-grace-seconds",
        "stop-grace-seconds",
        SECONDS,
    )
    .help("How long a stop waits for accepted requests")
    .text(
        "How long a stop waits for accepted requests. A second signal ends the process at once. \
         TimeoutStopSec of the service must be longer.",
    )
    .empty_is_unset(),
    Setting::new("server", "subscriptions", "subscriptions", Kind::File)
        .help("File of rules about new entries, and of the channels by which somebody is told")
        .text(
            "TOML file with [[rule]] and [[channel]] sections (docs/RULES.md): of each new entry \
             that matches a rule, a notice goes by every channel, after the checkpoint with the \
             entry is published. Notices wait in the data folder until they are delivered. Read at \
             the start. Only one of several servers should have it; if more have, receivers drop a \
             notice whose ID they have.",
        )
        .example("\"/etc/treehead/subscriptions.toml\""),
    Setting::new("entries", "enabled-types", "enabled-entry-types", NAMES)
        .help("Kinds of entries that are accepted, comma-separated [default: all]")
        .text(
            "Kinds of entries that are accepted, by Rekor's names. Default: all. Entries that are \
             logged already stay, and can be looked up.",
        )
        .example("[\"hashedrekord\"]"),
    Setting::new(
        "entries",
        "client-signing-algorithms",
        "client-signing-algorithms",
        NAMES,
    )
    .help("Signing algorithms of clients that are accepted, comma-separated")
    .text(
        "Signing algorithms of clients that are accepted, by Rekor's names; this is Rekor's \
         default. Rekor also knows ecdsa-sha2-256-nistp384 and ecdsa-sha2-256-nistp521.",
    ),
    Setting::new("entries", "unique-packages", "unique-packages", UNIQUENESS)
        .help("Whether a package in a version may have another digest than in an earlier entry")
        .text(
            "Whether a package URL with a version may have another digest than an earlier entry \
             gave it, in any tree of any log. \"off\": digests are not compared. \"warn\": the entry \
             is logged, found by `contradicts`, and reported in a log line and a metric. \
             \"refuse\": the answer is 409, and names the earlier entry. Anybody who may write can be \
             the first to name a package, so refuse only where all writers are known. All servers of \
             a ledger need the same value.",
        ),
    Setting::new(
        "entries",
        "unique-packages-unjudged",
        "unique-packages-unjudged",
        UNJUDGED,
    )
    .help("Whether entries that cannot be judged by unique-packages are accepted")
    .text(
        "Whether entries are accepted that unique-packages cannot judge: those that name no package \
         in a version, such as every hashedrekord, and those that have a digest of another algorithm \
         than the earlier entry. \"accept\" counts them, \"refuse\" leaves a log of packages only.",
    ),
    Setting::new("duplicates", "v1", "duplicates.v1", ANSWER)
        .help("Answer of the v1 API to an entry that the log has already")
        .text(
            "The answer to an entry that the log has already: \"conflict\" is 409 that says where \
             it is, \"stored\" is 201 with the stored entry and a fresh proof. For v1, as Rekor v1 \
             does:",
        )
        .empty_is_unset(),
    Setting::new("duplicates", "v2", "duplicates.v2", ANSWER)
        .help("Answer of the v2 API to an entry that the log has already")
        .text(
            "For v2, where a client that timed out and tries again has no other way to its proof:",
        )
        .empty_is_unset(),
    Setting::new("limits", "max-body-bytes", "max-body-bytes", Kind::Size)
        .help("Largest request body, such as 48MiB")
        .text(
            "Larger request bodies get 413. 48 MiB, which may also be written \"48MiB\", is the \
             base64 of a package of some 35 MB.",
        )
        .empty_is_unset(),
    Setting::new(
        "limits",
        "max-body-bytes-in-flight",
        "max-body-bytes-in-flight",
        Kind::Size,
    )
    .help("All request bodies at work together")
    .text(
        "All request bodies at work and what is decoded from them, together: bounds memory \
         whatever arrives at once. Requests wait for their share, and get 503 if that takes too \
         long. 192 MiB; at least what one body of the largest size needs.",
    )
    .empty_is_unset(),
    Setting::new(
        "limits",
        "max-attestation-bytes",
        "max-attestation-bytes",
        Kind::Size,
    )
    .help("Largest attestation that is kept beside its entry; 0 keeps none")
    .text(
        "Attestations (payloads of intoto, messages of cose) of up to this size are kept and shown \
         with their entries. Entries with larger ones are accepted without them. 100 KiB; 0: none; \
         at most 1 MiB.",
    ),
    Setting::new("limits", "max-connections", "max-connections", COUNT)
        .help("Open connections to the API")
        .text("Open connections; for one more the longest idle one is closed.")
        .empty_is_unset(),
    Setting::new(
        "limits",
        "max-connections-per-address",
        "max-connections-per-address",
        COUNT,
    )
    .help("Open connections to the API from one address")
    .text(
        "Open connections from one IPv4 address or one /64 network of IPv6. For one more an idle \
         one of that address is closed; if all are at work, the new one gets 503. Behind a proxy, \
         from which all connections come: as max-connections.",
    )
    .empty_is_unset(),
    Setting::new("witness", "policy", "witness-policy", Kind::File)
        .help(
            "File of the witness policy (C2SP tlog-policy): a head is published once its quorum has \
             cosigned it",
        )
        .text(
            "C2SP tlog-policy: no head is published before this file's quorum has cosigned it, and \
             writes get 503 if that takes 10 s. It holds for all logs of the ledger. Once a log has \
             a policy, it always needs one; `quorum none` disables it. deploy/witness-policy is a \
             sample.",
        )
        .example("\"/etc/treehead/witness-policy\""),
    Setting::new(
        "witness",
        "fail-open-seconds",
        "witness-fail-open-seconds",
        SECONDS,
    )
    .help("Publish a head without its quorum after this many seconds [default: never]")
    .text(
        "After how many seconds (1 to 10) a head is published without its quorum. Without this \
         line: never.",
    )
    .example("8"),
    Setting::new("trust", "public-url", "public-url", Kind::Text("URL"))
        .help(
            "URL at which clients reach the ledger [default: https:// and its name, for localhost \
             http:// and the port]",
        )
        .text(
            "Where clients reach the ledger, without a path: /trust/… and `treehead trust export` \
             tell it to them. Default: https:// and its name; for localhost http:// and the port of \
             `server.listen`.",
        )
        .example("\"https://log.example.org\"")
        .empty_is_unset(),
    Setting::new("trust", "trusted-root-base", "trusted-root-base", Kind::File)
        .help(
            "trusted_root.json with certificate and time-stamp authorities, to which these logs are \
             added",
        )
        .text(
            "The services of others, as `cosign trusted-root create` writes them; the logs of this \
             ledger are added to the file. Read at the start.",
        )
        .example("\"/etc/treehead/trusted_root.json\""),
    Setting::new(
        "trust",
        "signing-config-base",
        "signing-config-base",
        Kind::File,
    )
    .help(
        "signing_config.v0.2.json with the URLs of those services, to which these logs are added",
    )
    .text(
        "The URLs of those services, as `cosign signing-config create` writes them; likewise. If \
         it names a time-stamp authority, clients are sent to the v2 API.",
    )
    .example("\"/etc/treehead/signing_config.v0.2.json\""),
    Setting::new("logging", "format", "log-format", FORMAT)
        .help("Log format (stderr)")
        .text("The form of log lines on stderr: text for people, json for machines.")
        .empty_is_unset(),
    Setting::new("logging", "level", "log-level", Kind::Text("LEVEL"))
        .help("error, warn, info, debug, trace or off, or a list such as info,sqlx=warn")
        .text("error, warn, info, debug, trace or off, or a list such as info,sqlx=warn.")
        .empty_is_unset(),
];
