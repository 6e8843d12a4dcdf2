//! The operations that an operator leaves switched on (`enabled-api-endpoints`).

use http::Method;

use crate::operation::Operation;

/// The operations that a server has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operations(Vec<Operation>);

/// A name that is not the name of an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an operation; known are {known}", known = Operations::names().join(", "))]
pub struct UnknownOperation(String);

impl Operations {
    /// Returns the operations with these names. The other operations that can be switched off are
    /// answered with 501.
    ///
    /// # Errors
    ///
    /// A name is not one of [`Operations::names`].
    pub fn from_names<Name: AsRef<str>>(
        names: impl IntoIterator<Item = Name>,
    ) -> Result<Self, UnknownOperation> {
        let named = |name: Name| {
            let name = name.as_ref();
            let found = switchable().find(|operation| operation.id() == name);
            found.ok_or_else(|| UnknownOperation(name.to_owned()))
        };
        names
            .into_iter()
            .map(named)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Returns the names of all operations that can be switched off.
    pub fn names() -> Vec<&'static str> {
        switchable().map(Operation::id).collect()
    }

    /// Returns the routes of all operations that can be switched off, from the table: name, method,
    /// path template. A route of gRPC is a POST.
    pub fn routes() -> Vec<(&'static str, &'static Method, &'static str)> {
        let routes = |operation: Operation| {
            let paths = operation.paths().iter().copied().chain(operation.grpc());
            paths.map(move |path| (operation.id(), operation.method(), path))
        };
        switchable().flat_map(routes).collect()
    }

    /// Whether the server has an operation.
    pub(crate) fn have(&self, operation: Operation) -> bool {
        !operation.is_switchable() || self.0.contains(&operation)
    }
}

impl Default for Operations {
    /// Returns all operations that can be switched off.
    fn default() -> Self {
        Self(switchable().collect())
    }
}

fn switchable() -> impl Iterator<Item = Operation> {
    Operation::all().filter(|operation| operation.is_switchable())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_probes_have_no_name_to_switch_off() {
        let unknown = Operations::from_names(["getLogInfo", "healthz"]).expect_err("a probe");
        assert!(
            unknown
                .to_string()
                .starts_with("\"healthz\" is not an operation; known are getLogInfo, "),
            "{unknown}"
        );
        let none = Operations::from_names([""; 0]).expect("no names");
        assert!(none.have(Operation::Healthz) && !none.have(Operation::GetTile));
    }
}
