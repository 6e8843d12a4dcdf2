use std::thread;

use ring::rand::SystemRandom;

use super::*;

fn log_id(key: &SigningKey) -> tlog::Hash {
    key.verifying_key().log_id()
}

fn names(folder: &Path) -> Vec<String> {
    fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn is_made_once_with_mode_0600() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    assert!(matches!(
        read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()),
        Err(KeyFileError::Missing(_))
    ));
    let (made, origin) =
        read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap();
    assert_eq!(origin, KeyOrigin::Made);
    let bytes = fs::read(&path).unwrap();
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o7777,
        0o600
    );

    let (found, origin) =
        read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap();
    assert_eq!((origin, log_id(&found)), (KeyOrigin::Found, log_id(&made)));
    assert_eq!(fs::read(&path).unwrap(), bytes);
    assert_eq!(names(folder.path()), ["key.pem"]);
}

#[test]
fn many_at_once_end_with_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let made: Vec<_> = thread::scope(|scope| {
        let start =
            || read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(start)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    let first = log_id(&made[0].0);
    assert!(made.iter().all(|(key, _)| log_id(key) == first));
    assert_eq!(
        made.iter()
            .filter(|(_, origin)| *origin == KeyOrigin::Made)
            .count(),
        1
    );
    assert_eq!(names(folder.path()), ["key.pem"]);
}

#[test]
fn an_existing_file_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    for text in [
        "",
        "no key",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        write(&path, text);
        assert!(
            matches!(
                read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()),
                Err(KeyFileError::Unusable { .. })
            ),
            "{text}"
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &path).unwrap();
    assert!(
        read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).is_err(),
        "a dangling link is not replaced"
    );
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(
        read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()),
        Err(KeyFileError::Unusable { why, .. }) if why == "not a file"
    ));
}

#[test]
fn an_exposed_key_is_refused_and_the_remedy_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap();
    for (mode, accepted) in [
        (0o600, true),
        (0o400, true),
        (0o440, true),
        (0o640, true),
        // What Kubernetes makes of 0600 in a volume with fsGroup.
        (0o660, true),
        (0o644, false),
        (0o604, false),
        (0o662, false),
        (0o601, false),
    ] {
        assert_eq!(may_be_read_with(&path, mode), accepted, "{mode:o}");
    }
}

#[test]
fn a_group_may_not_write_a_key_that_belongs_to_a_third_user() {
    if effective_user() != Some(0) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    read_or_make(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap();
    std::os::unix::fs::chown(&path, Some(65_532), None).unwrap();
    assert!(may_be_read_with(&path, 0o640));
    assert!(!may_be_read_with(&path, 0o660));
}

fn may_be_read_with(path: &Path, mode: u32) -> bool {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let read = read(path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new());
    if let Err(error) = &read {
        assert!(error.to_string().contains("chmod 600"), "{mode:o} {error}");
    }
    read.is_ok()
}

#[test]
fn keys_of_openssl_are_taken_if_they_are_p256() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    // openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 / ed25519, throw-away.
    write(&path, &pem(P256));
    assert!(read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).is_ok());
    write(&path, &pem(ED25519));
    assert!(read(&path, &[KeyAlgorithm::Ed25519], &SystemRandom::new()).is_ok());
    assert!(matches!(
        read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()),
        Err(KeyFileError::Unusable { .. })
    ));
}

#[test]
fn a_key_is_taken_however_its_text_stands_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let (plain, wide) = (pem(P256), pem(&P256.replace('\n', "")));
    write(&path, &plain);
    let log_id = log_id(&read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new()).unwrap());
    let parameters =
        "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
    let public = "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n";
    for text in [
        format!("{plain}\n\n"),
        plain.replace('\n', "  \n"),
        plain.replace('\n', "\r\n"),
        plain.replace('\n', "\r"),
        plain.trim_end().to_owned(),
        format!("# the log key: keep it\n{plain}# end\n"),
        format!("\u{feff}{plain}"),
        wide,
        plain.replace('\n', "\n    "),
        format!("{plain}Private-Key: (256 bit)\npriv:\n    dd:77:62\nNIST CURVE: P-256\n"),
        format!("{parameters}{SEC1}"),
        SEC1.to_owned(),
        format!("{public}{plain}"),
    ] {
        write(&path, &text);
        let key = read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new());
        assert_eq!(
            key.map(|key| self::log_id(&key))
                .map_err(|error| error.to_string()),
            Ok(log_id),
            "{text}"
        );
    }
    write(&path, &format!("\n# Ed25519\n{}\n\n", pem(ED25519)));
    read(&path, &[KeyAlgorithm::Ed25519], &SystemRandom::new()).unwrap();
}

#[test]
fn a_key_that_is_not_taken_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key.pem");
    let convert = format!("`openssl pkey -in {} -out NEW-FILE`", path.display());
    let headers =
        "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,E2AD6E4B084095600EC8867B0A1A0107\n\n";
    let other = SEC1.replace("oUQDQgAE", "oUQDQgAF");
    for (text, wanted) in [
        (
            SEC1.replacen('\n', &format!("\n{headers}"), 1),
            convert.as_str(),
        ),
        (pem(P256).replace("PRIVATE", "ENCRYPTED PRIVATE"), &convert),
        (format!("{}{SEC1}", pem(P256)), "more than one private key"),
        (
            pem(P256).replace("PRIVATE", "OPENSSH PRIVATE"),
            "another kind: OPENSSH PRIVATE KEY",
        ),
        (pem(P256).replace("PRIVATE", "PUBLIC"), "only PUBLIC KEY"),
        (pem(P256).replace("-----END", "----END"), "no END line"),
        (pem(P256).replace("MIGH", "MI*H"), "base64"),
        ("\x30\x02".to_owned(), "openssl pkey -inform DER"),
        (other, "ECDSA P-256"),
        ("x".repeat(20_000), "larger than 16384 bytes"),
    ] {
        write(&path, &text);
        let error = read(&path, &[KeyAlgorithm::EcdsaP256], &SystemRandom::new())
            .unwrap_err()
            .to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

fn pem(body: &str) -> String {
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

const P256: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg3XdiPebH1Plh5rU2\n5zAzREZ9vFnPxezMEEvamd74Ly6hRANCAAQUj15fmDoA2c5d4HYZkmB/wHiZ2LJ+\nVUeS1JRDoSzYhc5gsQMGXNcunFtwfwQv3BhpyL2isw3AZoBUK8YG5D+7";
const ED25519: &str = "MC4CAQAwBQYDK2VwBCIEINdECkb96QFlcbo2QHcHPYCczdsgW406UOU6Zau4w4HU";
/// The same key as `openssl ec` writes it.
const SEC1: &str = "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIN13Yj3mx9T5Yea1NucwM0RGfbxZz8XszBBL2pne+C8uoAoGCCqGSM49\nAwEHoUQDQgAEFI9eX5g6ANnOXeB2GZJgf8B4mdiyflVHktSUQ6Es2IXOYLEDBlzX\nLpxbcH8EL9wYaci9orMNwGaAVCvGBuQ/uw==\n-----END EC PRIVATE KEY-----\n";
