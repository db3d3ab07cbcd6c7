//! Recall over real captures with names that another tool found.

use std::sync::Arc;

use avscope::attribute::Ruleset;

use super::support::skip;

#[path = "../../examples/corpus/compare.rs"]
#[allow(dead_code, reason = "the example prints more of it")]
mod compare;

#[test]
fn the_names_of_real_captures_are_found() {
    let Some(folder) = std::env::var_os("AVSCOPE_CORPUS") else {
        return skip(
            "corpus",
            "AVSCOPE_CORPUS does not name a folder of captures with truth files",
        );
    };
    let captures = compare::captures(folder.as_ref()).unwrap();
    assert!(captures.len() > 100, "{}", captures.len());
    let rules = Arc::new(Ruleset::builtin().unwrap());
    let (mut truth, mut found, mut beyond) = (0, 0, 0);
    for (capture, expected) in &captures {
        let result = compare::compare(capture, expected, "tls_sni", &rules);
        assert!(result.conserved, "{}", result.capture);
        if result.unread_link_types.is_some() {
            continue;
        }
        truth += result.truth;
        found += result.found;
        beyond += result
            .missed
            .iter()
            .filter(|missed| missed.class != "plain")
            .count();
        for missed in result
            .missed
            .iter()
            .filter(|missed| missed.class == "plain")
        {
            println!("missed in {}: {missed:?}", result.capture);
        }
        // What avscope finds beyond the truth, the second tool finds too once it is told the port.
        for extra in &result.extra {
            assert!(
                extra.second.contains(&extra.key.0),
                "{}: {extra:?}",
                result.capture
            );
        }
    }
    assert!(truth > 300, "{truth}");
    let recall = compare::percent(found, truth - beyond);
    assert!(
        recall >= 99.5,
        "{found} of {} plain names: {recall:.2} %",
        truth - beyond
    );
}
