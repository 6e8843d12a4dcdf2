//! C2SP tlog-policy: the trusted logs and witnesses, and the cosignatures that make a quorum.

use std::collections::{HashMap, HashSet};
use std::fmt;

use crate::{Note, NoteError, NoteKey, WitnessKey};

/// Most logs, witnesses and groups each; C2SP asks for 32 at least. Bounds the depth of groups too.
pub const MAX_POLICY_ITEMS: usize = 128;

/// A parsed policy.
#[derive(Clone, Debug)]
pub struct WitnessPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    quorum: Rule,
}

/// A `log` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyLog {
    /// Its key, whose name is the log's origin.
    pub key: NoteKey,
    /// Its URL.
    pub url: Option<String>,
}

/// A `witness` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Name within the policy.
    pub name: String,
    /// Its key.
    pub key: WitnessKey,
    /// Its submission prefix.
    pub url: Option<String>,
}

/// The condition under which a checkpoint is witnessed. Each name is a member of one group at most,
/// so this is a tree.
#[derive(Clone, Debug)]
enum Rule {
    None,
    /// Position in `witnesses`.
    Witness(usize),
    Group {
        threshold: usize,
        members: Vec<Rule>,
    },
}

/// The fault of a policy, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyError {
    /// 1 for the first; 0 for the policy as a whole.
    pub line: usize,
    /// The fault.
    pub problem: String,
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.problem),
            line => write!(f, "line {line}: {}", self.problem),
        }
    }
}

impl std::error::Error for PolicyError {}

/// The reason why a checkpoint does not meet a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UntrustedError {
    /// A signature of a known key does not verify, or no log of the policy signed.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The cosignatures do not make the quorum.
    #[error("the cosignatures do not make the quorum")]
    NoQuorum,
}

impl WitnessPolicy {
    /// Reads a policy. The error names the first line that is wrong.
    pub fn parse(text: &str) -> Result<Self, PolicyError> {
        let mut reader = Reader::default();
        for (number, line) in text.split('\n').enumerate() {
            reader.line(line).map_err(|problem| PolicyError {
                line: number + 1,
                problem,
            })?;
        }
        let whole = |problem: &str| PolicyError {
            line: 0,
            problem: problem.to_owned(),
        };
        let quorum = reader
            .quorum
            .ok_or_else(|| whole("there is no quorum line"))?;
        Ok(Self {
            logs: reader.logs,
            witnesses: reader.witnesses,
            quorum,
        })
    }

    /// Returns the logs, in the order of their lines.
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// Returns the witnesses, in the order of their lines.
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Returns whether cosignatures of the witnesses at these positions make the quorum.
    pub fn is_quorum(&self, cosigned: &HashSet<usize>) -> bool {
        self.quorum.is_met(cosigned)
    }

    /// Verifies that a checkpoint is signed by one of the policy's logs under its own origin, and
    /// cosigned by a quorum.
    pub fn verify(&self, checkpoint: &Note) -> Result<(), UntrustedError> {
        let origin = checkpoint.text().split('\n').next().unwrap_or_default();
        let keys: Vec<NoteKey> = self
            .logs
            .iter()
            .map(|log| log.key.clone())
            .filter(|key| key.name() == origin)
            .collect();
        checkpoint.verify(&keys)?;
        let mut cosigned = HashSet::new();
        for (place, witness) in self.witnesses.iter().enumerate() {
            if witness.key.cosigned(checkpoint)?.is_some() {
                cosigned.insert(place);
            }
        }
        if self.is_quorum(&cosigned) {
            Ok(())
        } else {
            Err(UntrustedError::NoQuorum)
        }
    }
}

impl Rule {
    fn is_met(&self, cosigned: &HashSet<usize>) -> bool {
        match self {
            Self::None => true,
            Self::Witness(place) => cosigned.contains(place),
            Self::Group { threshold, members } => {
                members
                    .iter()
                    .filter(|member| member.is_met(cosigned))
                    .count()
                    >= *threshold
            }
        }
    }
}

/// The definitions that were read so far.
#[derive(Default)]
struct Reader {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: usize,
    names: HashMap<String, Rule>,
    /// Names that are members of a group.
    members: HashSet<String>,
    quorum: Option<Rule>,
}

type Problem = Result<(), String>;

impl Reader {
    fn line(&mut self, line: &str) -> Problem {
        if line.contains(|c: char| c.is_ascii_control() && c != '\t') {
            return Err("a control character".to_owned());
        }
        let items: Vec<&str> = line
            .split([' ', '\t'])
            .filter(|item| !item.is_empty())
            .collect();
        match items.as_slice() {
            [] => Ok(()),
            [first, ..] if first.starts_with('#') => Ok(()),
            ["log", vkey] => self.log(vkey, None),
            ["log", vkey, url] => self.log(vkey, Some(url)),
            ["witness", name, vkey] => self.witness(name, vkey, None),
            ["witness", name, vkey, url] => self.witness(name, vkey, Some(url)),
            ["group", name, threshold, members @ ..] if !members.is_empty() => {
                self.group(name, threshold, members)
            }
            ["quorum", name] => self.quorum(name),
            [first @ ("log" | "witness" | "group" | "quorum"), ..] => {
                Err(format!("wrong number of items for {first:?}"))
            }
            [first, ..] => Err(format!("{first:?} begins no line of a policy")),
        }
    }

    fn log(&mut self, vkey: &str, url: Option<&str>) -> Problem {
        let key: NoteKey = vkey.parse().map_err(|error: NoteError| error.to_string())?;
        if self.logs.iter().any(|log| log.key.key() == key.key()) {
            return Err("this key is another log's too".to_owned());
        }
        self.logs.push(PolicyLog {
            key,
            url: url.map(str::to_owned),
        });
        bounded(self.logs.len())
    }

    fn witness(&mut self, name: &str, vkey: &str, url: Option<&str>) -> Problem {
        let key: WitnessKey = vkey
            .parse()
            .map_err(|_| "not a vkey of an Ed25519 witness (type 0x04 or 0x01)".to_owned())?;
        if self
            .witnesses
            .iter()
            .any(|witness| witness.key.key() == key.key())
        {
            return Err("this key is another witness's too".to_owned());
        }
        self.define(name, Rule::Witness(self.witnesses.len()))?;
        self.witnesses.push(PolicyWitness {
            name: name.to_owned(),
            key,
            url: url.map(str::to_owned),
        });
        bounded(self.witnesses.len())
    }

    fn group(&mut self, name: &str, threshold: &str, members: &[&str]) -> Problem {
        let threshold = match threshold {
            "any" => 1,
            "all" => members.len(),
            number if !number.starts_with(['0', '+']) => {
                let number = number
                    .parse()
                    .ok()
                    .filter(|&number| number <= members.len());
                number.ok_or_else(|| {
                    format!(
                        "the threshold of {name:?} is not all, any, or 1 to {}",
                        members.len()
                    )
                })?
            }
            number => return Err(format!("{number:?} is no threshold")),
        };
        let members = members
            .iter()
            .map(|member| self.member(member))
            .collect::<Result<_, _>>()?;
        self.define(name, Rule::Group { threshold, members })?;
        self.groups += 1;
        bounded(self.groups)
    }

    fn quorum(&mut self, name: &str) -> Problem {
        if self.quorum.is_some() {
            return Err("a second quorum line".to_owned());
        }
        self.quorum = Some(match name {
            "none" => Rule::None,
            name => self.named(name)?,
        });
        Ok(())
    }

    fn define(&mut self, name: &str, rule: Rule) -> Problem {
        if name == "none" || self.names.insert(name.to_owned(), rule).is_some() {
            return Err(format!("{name:?} is defined already"));
        }
        Ok(())
    }

    fn named(&self, name: &str) -> Result<Rule, String> {
        self.names
            .get(name)
            .cloned()
            .ok_or_else(|| format!("{name:?} is not defined before this line"))
    }

    fn member(&mut self, name: &str) -> Result<Rule, String> {
        let rule = self.named(name)?;
        if self.members.insert(name.to_owned()) {
            Ok(rule)
        } else {
            Err(format!("{name:?} is a member twice"))
        }
    }
}

fn bounded(items: usize) -> Problem {
    if items <= MAX_POLICY_ITEMS {
        Ok(())
    } else {
        Err(format!("more than {MAX_POLICY_ITEMS} of a kind"))
    }
}
