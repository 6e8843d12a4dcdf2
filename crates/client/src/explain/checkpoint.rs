//! Checkpoints and other signed notes.

use tlog::{Checkpoint, Note, NoteSignature};

use super::report::{ALL, GO, JS, Report, list, time};

/// Bytes of an Ed25519 signature, and of the time before it in a cosignature of a witness.
const ED25519: usize = 64;
const COSIGNATURE: usize = 8 + ED25519;
/// Longest DER signature of ECDSA P-256.
const P256: usize = 72;
/// First byte of every DER signature.
const DER_SEQUENCE: u8 = 0x30;

/// By which API a log took an entry. This decides what a checkpoint must be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flavour {
    V1,
    V2,
}

/// What clients compare a checkpoint with.
pub(super) struct Expected<'a> {
    /// The log ID of the entry that the checkpoint covers.
    pub log_id: Option<&'a [u8]>,
    pub flavour: Flavour,
}

/// Explains a checkpoint that stands alone.
pub(super) fn explain(report: &mut Report, text: &str) {
    report.what = "signed note".to_owned();
    let Some(note) = open(report, "", text) else {
        return;
    };
    let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
        report.what = "signed note that is no checkpoint".to_owned();
        report.fact("text", note.text());
        return signers(report, &note);
    };
    let form = match (tree_id(&checkpoint.origin), checkpoint.origin.contains('/')) {
        (Some(_), _) => "checkpoint in the form of Rekor v1",
        (None, true) => "C2SP checkpoint of one tree, for witnesses and monitors",
        (None, false) => "C2SP checkpoint, as Rekor v2 has them",
    };
    report.what = form.to_owned();
    facts(report, &checkpoint);
    signers(report, &note);
    if tree_id(&checkpoint.origin).is_none() {
        check_origin_name(report, "line 1", &checkpoint.origin);
    }
    check_keys(report, "", &note);
    check_signer_name(report, "", &checkpoint, &note);
}

/// Checks the checkpoint of an inclusion proof. Returns it if it can be read.
pub(super) fn check(
    report: &mut Report,
    place: &str,
    text: &str,
    expected: &Expected<'_>,
) -> Option<Checkpoint> {
    let note = open(report, place, text)?;
    let checkpoint = match Checkpoint::parse(note.text()) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let remedy = "take the entry from the log again; a checkpoint is signed text and must \
                not be edited";
            report.error("checkpoint-malformed", ALL, place, error, remedy);
            return None;
        }
    };
    facts(report, &checkpoint);
    signers(report, &note);
    check_keys(report, place, &note);
    if let Some(log_id) = expected.log_id {
        check_hint(report, place, &note, log_id);
    }
    match (expected.flavour, tree_id(&checkpoint.origin)) {
        (Flavour::V2, _) => {
            check_origin_name(report, place, &checkpoint.origin);
            check_signer_name(report, place, &checkpoint, &note);
        }
        (Flavour::V1, None) => report.error(
            "v1-origin-form",
            GO,
            place,
            format_args!(
                "the origin {:?} does not end in \" - TREE-ID\", so sigstore-go takes this entry \
                    of Rekor v1 for one of v2",
                checkpoint.origin
            ),
            "the log must sign its checkpoints under an origin such as \"log.example.org - \
                1193050959916656506\"",
        ),
        (Flavour::V1, Some(_)) => {}
    }
    Some(checkpoint)
}

/// Reads the note around a checkpoint, or says what is wrong with it.
fn open(report: &mut Report, place: &str, text: &str) -> Option<Note> {
    let error = match Note::parse(text) {
        Ok(note) => return Some(note),
        Err(error) => error,
    };
    let again = "take the checkpoint from the log again, byte by byte as it sends it";
    let (id, what) = if text.contains('\r') {
        (
            "note-crlf",
            "its lines end with CR LF, and the signature is over LF alone".to_owned(),
        )
    } else if !text.contains("\n\n") {
        (
            "note-without-signature",
            "the blank line and the signatures after it are missing".to_owned(),
        )
    } else if !text.ends_with('\n') {
        (
            "note-without-final-newline",
            "the last line does not end: the newline at its end belongs to the note".to_owned(),
        )
    } else {
        ("note-malformed", error.to_string())
    };
    report.error(id, ALL, place, what, again);
    None
}

fn facts(report: &mut Report, checkpoint: &Checkpoint) {
    report.fact("origin", &checkpoint.origin);
    report.fact("tree size", checkpoint.size);
    report.fact("root hash", checkpoint.root);
    for line in &checkpoint.extensions {
        report.fact("further line", line);
    }
}

fn signers(report: &mut Report, note: &Note) {
    for line in note.signatures() {
        let hint = hex::encode(line.key_id);
        let form = form(line);
        report.fact(
            "signed by",
            format_args!("{}, key hint {hint}, {form}", line.name),
        );
    }
}

/// Guesses the algorithm from the form of a signature.
fn form(line: &NoteSignature) -> String {
    let signature = &line.signature;
    match (signature.len(), signature.first()) {
        (ED25519, _) => "Ed25519".to_owned(),
        (..=P256, Some(&DER_SEQUENCE)) => "ECDSA P-256".to_owned(),
        (COSIGNATURE, _) => {
            let seconds = signature.iter().take(8).fold(0_i64, |seconds, byte| {
                seconds.wrapping_mul(256).wrapping_add(i64::from(*byte))
            });
            format!("a witness at {}", time(seconds))
        }
        (_, Some(&DER_SEQUENCE)) => "ECDSA on a larger curve".to_owned(),
        (bytes, _) => format!("{bytes} bytes"),
    }
}

fn check_keys(report: &mut Report, place: &str, note: &Note) {
    let is_large = |line: &&NoteSignature| {
        line.signature.len() > P256 && line.signature.first() == Some(&DER_SEQUENCE)
    };
    if let Some(line) = note.signatures().iter().find(is_large) {
        let what = format_args!(
            "{} signs with ECDSA on a larger curve than P-256: sigstore-js verifies it with \
                SHA-256, Go with SHA-384 or SHA-512",
            line.name
        );
        let remedy = "sign checkpoints with Ed25519, or with ECDSA P-256";
        report.error("checkpoint-key-curve", JS, place, what, remedy);
    }
}

/// Checks that the log's line is there, and that it is the first one.
fn check_hint(report: &mut Report, place: &str, note: &Note, log_id: &[u8]) {
    let hint = log_id.get(..4).unwrap_or_default();
    let lines = note.signatures();
    match lines.iter().position(|line| line.key_id == hint) {
        Some(0) => {}
        Some(_) => report.warning(
            "checkpoint-log-not-first",
            place,
            "the log's own signature is not the first one; rekor-monitor takes the first line for \
                the log's",
            "the log must put its own line before those of witnesses",
        ),
        None => {
            let hints: Vec<String> = lines.iter().map(|line| hex::encode(line.key_id)).collect();
            let what = format_args!(
                "no signature has the key hint {} with which the log ID begins (found: {})",
                hex::encode(hint),
                list(&hints)
            );
            let remedy = "the checkpoint is of another log or another key: take the entry from \
                the log again";
            report.error("checkpoint-key-hint", ALL, place, what, remedy);
        }
    }
}

fn check_origin_name(report: &mut Report, place: &str, origin: &str) {
    if !origin.contains([':', '/', ' ']) {
        return;
    }
    let what = format_args!(
        "the origin {origin:?} is no bare host name: sigstore-go compares it with the host in \
            baseUrl, which has neither \
         port nor path"
    );
    let remedy = "run a v2 log under a host name of its own, and give it that name as its origin";
    report.error("origin-not-host", GO, place, what, remedy);
}

fn check_signer_name(report: &mut Report, place: &str, checkpoint: &Checkpoint, note: &Note) {
    let name = match checkpoint.origin.rsplit_once(" - ") {
        Some((name, _)) if tree_id(&checkpoint.origin).is_some() => name,
        _ => checkpoint.origin.as_str(),
    };
    if note.signatures().iter().any(|line| line.name == name) {
        return;
    }
    let what = format_args!("no signature has the name {name:?} of the origin");
    let remedy = "the log must sign under the name in its origin";
    report.error("checkpoint-signer-name", GO, place, what, remedy);
}

/// Returns the tree ID in an origin of Rekor v1.
pub(super) fn tree_id(origin: &str) -> Option<&str> {
    let (_, tree) = origin.rsplit_once(" - ")?;
    let is_number = !tree.is_empty() && tree.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then_some(tree)
}
