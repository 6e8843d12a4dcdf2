//! The APIs of Rekor through which a tree accepts entries.

use std::fmt;

/// The APIs of a tree: chosen when the tree is created, and never changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apis {
    /// Rekor v1 alone. The tree has no tiles, and so its leaves may be larger.
    V1,
    /// Rekor v2 alone, for readers of tiles that cannot parse the kinds of v1.
    V2,
    /// Either.
    Both,
}

impl Apis {
    /// Returns the name in the database and the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Both => "both",
        }
    }

    /// Reads the stored form back.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::V1, Self::V2, Self::Both]
            .into_iter()
            .find(|apis| apis.name() == name)
    }

    /// Returns whether the v1 API accepts entries.
    pub fn takes_v1(self) -> bool {
        self != Self::V2
    }

    /// Returns whether the v2 API accepts entries and tiles are served.
    pub fn takes_v2(self) -> bool {
        self != Self::V1
    }
}

impl fmt::Display for Apis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
