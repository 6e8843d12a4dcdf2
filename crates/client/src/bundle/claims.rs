//! What Fulcio writes into certificates of builds.

use sigstore_verify::crypto::CertificateInfo;

/// Returns the claims of a certificate, each with object identifier, name and value.
pub(super) fn of(info: &CertificateInfo) -> Vec<(&'static str, &'static str, String)> {
    let (ci, old) = (&info.ci_claims, &info.ci_claims.deprecated_github);
    let all = [
        ("1.3.6.1.4.1.57264.1.2", "trigger", &old.workflow_trigger),
        ("1.3.6.1.4.1.57264.1.3", "sha", &old.workflow_sha),
        ("1.3.6.1.4.1.57264.1.4", "workflow name", &old.workflow_name),
        (
            "1.3.6.1.4.1.57264.1.5",
            "repository",
            &old.workflow_repository,
        ),
        ("1.3.6.1.4.1.57264.1.6", "ref", &old.workflow_ref),
        ("1.3.6.1.4.1.57264.1.8", "issuer", &info.issuer),
        (
            "1.3.6.1.4.1.57264.1.9",
            "build signer",
            &ci.build_signer_uri,
        ),
        (
            "1.3.6.1.4.1.57264.1.10",
            "build signer digest",
            &ci.build_signer_digest,
        ),
        ("1.3.6.1.4.1.57264.1.11", "runner", &ci.runner_environment),
        (
            "1.3.6.1.4.1.57264.1.12",
            "source",
            &ci.source_repository_uri,
        ),
        (
            "1.3.6.1.4.1.57264.1.13",
            "source digest",
            &ci.source_repository_digest,
        ),
        (
            "1.3.6.1.4.1.57264.1.14",
            "source ref",
            &ci.source_repository_ref,
        ),
        (
            "1.3.6.1.4.1.57264.1.15",
            "source ID",
            &ci.source_repository_identifier,
        ),
        (
            "1.3.6.1.4.1.57264.1.16",
            "source owner",
            &ci.source_repository_owner_uri,
        ),
        (
            "1.3.6.1.4.1.57264.1.17",
            "source owner ID",
            &ci.source_repository_owner_identifier,
        ),
        (
            "1.3.6.1.4.1.57264.1.18",
            "build config",
            &ci.build_config_uri,
        ),
        (
            "1.3.6.1.4.1.57264.1.19",
            "build config digest",
            &ci.build_config_digest,
        ),
        ("1.3.6.1.4.1.57264.1.20", "build trigger", &ci.build_trigger),
        ("1.3.6.1.4.1.57264.1.21", "run", &ci.run_invocation_uri),
        (
            "1.3.6.1.4.1.57264.1.22",
            "visibility",
            &ci.source_repository_visibility_at_signing,
        ),
        (
            "1.3.6.1.4.1.57264.1.23",
            "deployment environment",
            &ci.deployment_environment,
        ),
        ("1.3.6.1.4.1.57264.1.24", "token subject", &ci.token_subject),
    ];
    let present = all.into_iter().filter_map(|(id, name, value)| {
        let value = value.as_ref()?;
        Some((id, name, value.clone()))
    });
    present.collect()
}
