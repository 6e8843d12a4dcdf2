//! The table of operations: every route of every API, with all that is decided by which route it
//! is.
//!
//! Routing, the switch (`enabled-api-endpoints`), read-only, CORS, `Allow`, the labels of metrics
//! and the test of the OpenAPI document read this table. A new route is a row here, a handler, and
//! an arm of `route` in the router of its API.

use axum::routing::MethodFilter;
use host::{Access, Route, Visibility};
use http::Method;

use crate::path;
use crate::trust::Document;

/// The API that an operation belongs to, which decides how it is routed and how it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// Rekor v1. A search, events and a batch of our own are routed like it.
    V1,
    /// Rekor v2. Look-ups of our own are routed like it.
    V2,
    /// The v2 log as C2SP tiles, as Rekor v2 has it.
    Tiles,
    /// Every tree of every log, as C2SP tiles, and the newest heads for other servers.
    Trees,
    /// Trust material.
    Trust,
    /// Documents about the server.
    Pages,
    /// The state of the server.
    Probes,
}

/// A row of the table.
struct Row {
    operation: Operation,
    /// Rekor's `operationId`, where Rekor has the operation.
    id: &'static str,
    /// The name of the operation in the answer of a server that does not have it.
    title: &'static str,
    api: Api,
    access: Access,
    method: Method,
    /// Path templates. The first one stands for all of them in metrics and in the OpenAPI document.
    paths: &'static [&'static str],
    /// Path of the same operation over gRPC.
    grpc: Option<&'static str>,
}

const ENTRIES: &str = "/api/v1/log/entries";
const BY_UUID: &str = "/api/v1/log/entries/{entryUUID}";
const RETRIEVE: &str = "/api/v1/log/entries/retrieve";
const BATCH: &str = "/api/v1/log/entries/batch";
const ENTRIES_V2: &str = "/api/v2/log/entries";
const BUNDLES: [&str; 2] = ["/api/v2/tile/entries/{*N}", "/tile/entries/{*N}"];
const TRUSTED_ROOT: &str = Document::TrustedRoot.path();
const SIGNING_CONFIG: &str = Document::SigningConfig.path();
const TRUST_CONFIG: &str = Document::TrustConfig.path();
const VKEYS: &str = Document::CheckpointVkey.path();
const LOG_KEYS: &str = Document::LogPublicKey.path();
const MONITOR_CONFIG: &str = Document::MonitorConfig.path();
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Defines [`Operation`] and, in the same order, its rows in [`TABLE`].
macro_rules! operations {
    ($(
        $name:ident $id:literal $title:literal $api:ident $access:ident $method:ident
        $paths:expr $(, grpc $grpc:expr)?;
    )*) => {
        /// An operation. An operation that has several paths is one all the same.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Operation {
            $($name,)*
        }

        static TABLE: &[Row] = &[$(Row {
            operation: Operation::$name,
            id: $id,
            title: $title,
            api: Api::$api,
            access: Access::$access,
            method: Method::$method,
            paths: &$paths,
            grpc: [$($grpc)?].first().copied(),
        },)*];
    };
}

operations! {
    // name, ID, title, API, access, method, paths
    GetLogInfo "getLogInfo" "Get Log Info" V1 Read GET ["/api/v1/log"];
    GetPublicKey "getPublicKey" "Get Public Key" V1 Read GET ["/api/v1/log/publicKey"];
    GetLogProof "getLogProof" "Get Log Proof" V1 Read GET ["/api/v1/log/proof"];
    CreateLogEntry "createLogEntry" "Create Entry" V1 Write POST [ENTRIES];
    GetLogEntryByIndex "getLogEntryByIndex" "Get Log Entry by Index" V1 Read GET [ENTRIES];
    // To Rekor's router a GET of the last two paths is one of the entry with the ID `retrieve`, or
    // `batch`.
    GetLogEntryByUuid "getLogEntryByUUID" "Get Log Entry by UUID" V1 Read GET
        [BY_UUID, RETRIEVE, BATCH];
    SearchLogQuery "searchLogQuery" "Search Log Query" V1 Read POST [RETRIEVE];
    SearchIndex "searchIndex" "Search Index" V1 Read POST ["/api/v1/index/retrieve"];
    SearchEntries "searchEntries" "Search Entries" V1 Read GET ["/api/v1/index/search"];
    LookUpKeys "lookUpKeys" "Look Up Keys" V1 Read POST ["/api/v1/index/lookup"];
    GetLogEvents "getLogEvents" "Get Log Events" V1 Read GET ["/api/v1/log/events"];
    CreateLogEntries "createLogEntries" "Create Entries" V1 Write POST [BATCH];
    CreateEntry "createEntry" "CreateEntry" V2 Write POST
        [ENTRIES_V2], grpc "/dev.sigstore.rekor.v2.Rekor/CreateEntry";
    GetEntryByLeafHash "getEntryByLeafHash" "GetEntryByLeafHash" V2 Read GET [ENTRIES_V2];
    GetEntryByIndex "getEntryByIndex" "GetEntryByIndex" V2 Read GET ["/api/v2/log/entries/{index}"];
    GetConsistencyProof "getConsistencyProof" "GetConsistencyProof" V2 Read GET
        ["/api/v2/log/proof/consistency"];
    GetCheckpoint "getCheckpoint" "GetCheckpoint" Tiles Read GET
        ["/api/v2/checkpoint", "/checkpoint"];
    GetTile "getTile" "GetTile" Tiles Read GET ["/api/v2/tile/{L}/{*N}", "/tile/{L}/{*N}"];
    GetEntryBundle "getEntryBundle" "GetEntryBundle" Tiles Read GET BUNDLES;
    GetTrees "getTrees" "Get Trees" Trees Read GET ["/trees"];
    GetTreeCheckpoint "getTreeCheckpoint" "Get Tree Checkpoint" Trees Read GET
        ["/trees/{treeID}/checkpoint"];
    GetTreeFreezeNote "getTreeFreezeNote" "Get Tree Freeze Note" Trees Read GET
        ["/trees/{treeID}/freeze"];
    GetTreeTile "getTreeTile" "Get Tree Tile" Trees Read GET ["/trees/{treeID}/tile/{L}/{*N}"];
    GetTreeEntryBundle "getTreeEntryBundle" "Get Tree Entry Bundle" Trees Read GET
        ["/trees/{treeID}/tile/entries/{*N}"];
    GetTreeEntry "getTreeEntry" "Get Tree Entry" Trees Read GET
        ["/trees/{treeID}/entries/{index}"];
    GetTreeEntryTlogProof "getTreeEntryTlogProof" "Get Tree Entry Tlog Proof" Trees Read GET
        ["/trees/{treeID}/entries/{index}/tlog-proof"];
    GetGuard "getGuard" "Get Guard" Trees Read GET ["/guard"];
    GetTreeRows "getTreeRows" "Get Tree Rows" Trees Read GET ["/trees/{treeID}/rows/{size}"];
    GetTrustedRoot "getTrustedRoot" "Get Trusted Root" Trust Read GET [TRUSTED_ROOT];
    GetSigningConfig "getSigningConfig" "Get Signing Config" Trust Read GET [SIGNING_CONFIG];
    GetTrustConfig "getTrustConfig" "Get Trust Config" Trust Read GET [TRUST_CONFIG];
    GetCheckpointVkey "getCheckpointVkey" "Get Checkpoint Vkey" Trust Read GET [VKEYS];
    GetLogPublicKeys "getLogPublicKeys" "Get Log Public Keys" Trust Read GET [LOG_KEYS];
    GetMonitorConfig "getMonitorConfig" "Get Monitor Config" Trust Read GET [MONITOR_CONFIG];
    Home "home" "" Pages Read GET ["/"];
    Docs "docs" "" Pages Read GET ["/docs"];
    Swagger "swagger" "" Pages Read GET ["/swagger.json"];
    Ping "ping" "" Probes Read GET ["/ping"];
    Healthz "healthz" "" Probes Read GET ["/healthz"];
    Readyz "readyz" "" Probes Read GET ["/readyz"];
    GrpcHealth "grpcHealth" "" Probes Read POST [], grpc "/grpc.health.v1.Health/Check";
    GrpcReflection "grpcReflection" "" Probes Read POST [], grpc REFLECTION;
}

impl Operation {
    /// Returns all operations.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|row| row.operation)
    }

    /// Returns the operations of some APIs.
    pub(crate) fn of(apis: &'static [Api]) -> impl Iterator<Item = Self> {
        Self::all().filter(|operation| apis.contains(&operation.api()))
    }

    /// Returns the path templates of some APIs, each once.
    pub(crate) fn paths_of(apis: &'static [Api]) -> Vec<&'static str> {
        let mut paths = Vec::new();
        for path in Self::of(apis).flat_map(Self::paths) {
            if !paths.contains(path) {
                paths.push(*path);
            }
        }
        paths
    }

    /// Returns the operations at a path template.
    pub(crate) fn at(path: &str) -> impl Iterator<Item = Self> {
        Self::all().filter(move |operation| operation.paths().contains(&path))
    }

    fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The name of the operation: Rekor's `operationId`, where Rekor has it.
    pub(crate) fn id(self) -> &'static str {
        self.row().id
    }

    /// The name of the operation in the answer of a server that does not have it.
    pub(crate) fn title(self) -> &'static str {
        self.row().title
    }

    /// Its API.
    pub(crate) fn api(self) -> Api {
        self.row().api
    }

    /// Whether it covers all logs, although it is routed like an API that shows its own log.
    pub(crate) fn covers_all_logs(self) -> bool {
        matches!(
            self,
            Self::SearchEntries
                | Self::LookUpKeys
                | Self::GetLogEvents
                | Self::CreateLogEntries
                | Self::GetEntryByLeafHash
        )
    }

    /// Whether it adds to a log.
    pub(crate) fn access(self) -> Access {
        self.row().access
    }

    /// Its method over HTTP.
    pub(crate) fn method(self) -> &'static Method {
        &self.row().method
    }

    /// Its method, for a router. (GET does not stand for HEAD where the path has a handler of its
    /// own for that.)
    pub(crate) fn method_filter(self) -> MethodFilter {
        if self.method() == Method::POST {
            MethodFilter::POST
        } else {
            MethodFilter::GET
        }
    }

    /// All of its path templates; empty for an operation of gRPC alone.
    pub(crate) fn paths(self) -> &'static [&'static str] {
        self.row().paths
    }

    /// The path template that stands for all of them.
    pub(crate) fn path(self) -> &'static str {
        self.paths()
            .first()
            .copied()
            .or(self.grpc())
            .unwrap_or_default()
    }

    /// Its path over gRPC.
    pub(crate) fn grpc(self) -> Option<&'static str> {
        self.row().grpc
    }

    /// Whether an operator may switch it off. Documents and probes show nothing of the contents of
    /// the log.
    pub(crate) fn is_switchable(self) -> bool {
        !matches!(self.api(), Api::Pages | Api::Probes)
    }

    /// Returns its route over HTTP.
    pub(crate) fn route(self) -> Route {
        self.route_at(self.path())
    }

    /// Returns the route of a path of gRPC.
    pub(crate) fn grpc_route(path: &str) -> Option<Route> {
        let operation = Self::all().find(|operation| operation.grpc() == Some(path))?;
        Some(operation.route_at(operation.grpc()?))
    }

    fn route_at(self, path: &'static str) -> Route {
        // Probes, and mirrors that read tiles, would fill the access log.
        let visibility = if matches!(self.api(), Api::V1 | Api::V2) {
            Visibility::Info
        } else {
            Visibility::Debug
        };
        Route {
            operation: self.id(),
            path,
            access: self.access(),
            visibility,
        }
    }
}

/// Returns what a request of this path and method would do.
pub(crate) fn access_at(given_path: &str, method: &str) -> Access {
    let path = path::clean(given_path);
    let mut operations =
        Operation::at(&path).filter(|operation| operation.method().as_str() == method);
    let writes = operations.any(|operation| operation.access() == Access::Write);
    if writes { Access::Write } else { Access::Read }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_name_is_one_operation_and_a_path_with_its_method_too() {
        let names: BTreeSet<_> = Operation::all().map(Operation::id).collect();
        assert_eq!(names.len(), TABLE.len());
        let mut routes = BTreeSet::new();
        for operation in Operation::all() {
            for path in operation.paths().iter().chain(operation.grpc().as_ref()) {
                assert!(
                    routes.insert((*path, operation.method().as_str())),
                    "{operation:?} {path}"
                );
            }
        }
    }

    #[test]
    fn a_write_is_one_in_every_spelling_of_its_path() {
        for (path, method, expected) in [
            ("//api/v1/log/x/../entries/", "POST", Access::Write),
            (ENTRIES, "GET", Access::Read),
            ("/api/v1/index/retrieve", "POST", Access::Read),
            ("/elsewhere", "POST", Access::Read),
        ] {
            assert_eq!(access_at(path, method), expected, "{method} {path}");
        }
    }

    #[test]
    fn four_routes_write() {
        let writes = Operation::all().filter(|operation| operation.access() == Access::Write);
        let routes: Vec<_> = writes
            .flat_map(|operation| operation.paths().iter().copied().chain(operation.grpc()))
            .collect();
        let expected = [
            ENTRIES,
            BATCH,
            ENTRIES_V2,
            "/dev.sigstore.rekor.v2.Rekor/CreateEntry",
        ];
        assert_eq!(routes, expected, "deploy/ and docs/ name them all");
    }
}
