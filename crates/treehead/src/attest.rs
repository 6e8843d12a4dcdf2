//! `treehead attest`: states something about packages, signs and logs it, and writes what their
//! ecosystem expects.

use crate::failure::Outcome;
use crate::runtime;
use crate::upload::{Destination, add_time_stamps, send};

pub(crate) use flags::AttestFlags;

mod flags;
mod prepare;

/// Attests what the flags name.
pub(crate) fn run(flags: &AttestFlags) -> Outcome<()> {
    runtime()?.block_on(async {
        let to = Destination::open(&flags.to).await?;
        let mut uploads = prepare::uploads(flags, &to)?;
        add_time_stamps(&flags.signing, &mut uploads).await?;
        send(&flags.to, &to, uploads).await
    })
}
