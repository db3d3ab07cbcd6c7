//! Patterns in, a hosts file out: whole names only.

use std::fmt::Write as _;

use super::{LeftOut, Selected};
use crate::attribute::PatternKind;

/// The text of a hosts file that gives every name this address.
pub fn write(selected: &Selected<'_>, address: std::net::IpAddr) -> (String, LeftOut) {
    let mut left_out = LeftOut::default();
    let mut text = format!(
        "# avscope: names that products of security vendors contact; rule set {}.\n\
         # This is no recommendation to block: a product that cannot be reached by its updates protects nobody.\n",
        selected.rules.digest()
    );
    for item in &selected.items {
        match item.kind {
            PatternKind::Name if item.text.starts_with("*.") => {
                left_out.add("wildcards of names: a hosts file has whole names");
            }
            PatternKind::Name => {
                left_out.written += 1;
                let words = item.words().replace(char::is_control, " ");
                let (name, rule) = (item.text, &item.rule.id);
                let _ = writeln!(text, "{address} {name} # {rule}: {words}");
            }
            PatternKind::UserAgent | PatternKind::Uri => {
                left_out.add("User-Agents and URIs: a hosts file has names");
            }
            PatternKind::Network | PatternKind::Asn => {
                left_out.add("networks and autonomous systems: a hosts file has names");
            }
        }
    }
    (text, left_out)
}
