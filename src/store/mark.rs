//! The text of a fact → as it is written: printable, and without identifiers where they are not wanted.

use std::borrow::Cow;

use crate::model::{EvidenceKind, printable, redacted};

/// The name or mark of a fact for an output.
pub(super) fn mark(kind: EvidenceKind, text: &[u8], redact: bool) -> Cow<'_, str> {
    let text = printable(text);
    if redact { redacted(kind, text) } else { text }
}
