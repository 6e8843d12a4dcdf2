//! Time stamps of signatures, before their entries are sent.

use client::{Http, time_stamp};

use super::flags::SigningFlags;
use super::item::Upload;
use crate::failure::{Explain, Failure, FailureKind, Outcome};

/// Asks the authority that the flags name for a time stamp of each signature that goes into a
/// bundle.
pub(crate) async fn add_time_stamps(flags: &SigningFlags, uploads: &mut [Upload]) -> Outcome<()> {
    let Some(url) = &flags.timestamp_url else {
        return Ok(());
    };
    let http = Http::new();
    for upload in uploads {
        let Some(first) = upload.outputs.first() else {
            let why = format_args!(
                "{}: a time stamp goes into a bundle: give --bundle",
                upload.name
            );
            return Err(Failure::new(FailureKind::Usage, why));
        };
        let signature = first.draft.signature();
        let answer = http.time_stamp(url, time_stamp::query(&signature)).await;
        let answer = answer.explain(FailureKind::LogUnavailable, "--timestamp-url")?;
        if !matches!(answer.status, 200 | 201) {
            let why = format_args!("{url} answers {}, and no time stamp", answer.status);
            return Err(Failure::new(FailureKind::LogUnavailable, why));
        }
        let checked = time_stamp::check(&answer.body, &signature);
        checked.explain(FailureKind::NotVerified, url)?;
        for output in &mut upload.outputs {
            output.draft.add_time_stamp(&answer.body);
        }
    }
    Ok(())
}
