#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::tests::*;
use super::*;

#[test]
fn an_exemption_covers_what_it_says_until_its_last_day() {
    let policy = policy(VENDOR);
    let seen = Indication {
        site: Some("berlin".to_owned()),
        ..product()
    };
    for (lines, exempt) in [
        ("hosts = [\"192.168.10.20\"]\nuntil = 2024-03-05", true),
        ("hosts = [\"192.168.10.20\"]\nuntil = 2024-03-04", false),
        (
            "hosts = [\"192.168.10.0/24\", \"10.0.0.1\"]\nuntil = 2099-12-31",
            true,
        ),
        ("hosts = [\"192.168.11.0/24\"]\nuntil = 2099-12-31", false),
        ("zones = [\"office\"]\nuntil = 2099-12-31", true),
        ("zones = [\"lab\"]\nuntil = 2099-12-31", false),
        ("sites = [\"berlin\"]\nuntil = 2099-12-31", true),
        ("sites = [\"paris\"]\nuntil = 2099-12-31", false),
        ("vendors = [\"kaspersky\"]\nuntil = 2099-12-31", true),
        ("vendors = [\"eset\"]\nuntil = 2099-12-31", false),
        (
            "products = [\"Kaspersky Endpoint Security\"]\nuntil = 2099-12-31",
            true,
        ),
        (
            "products = [\"Kaspersky Password Manager\"]\nuntil = 2099-12-31",
            false,
        ),
        ("engines = [\"kaspersky\"]\nuntil = 2099-12-31", false),
        ("purposes = [\"update\"]\nuntil = 2099-12-31", true),
        ("purposes = [\"telemetry\"]\nuntil = 2099-12-31", false),
        // All of its lists must cover it.
        (
            "zones = [\"office\"]\nhosts = [\"10.0.0.1\"]\nuntil = 2099-12-31",
            false,
        ),
    ] {
        let organisation = Organisation {
            exemptions: vec![exemption(lines)],
            ..Organisation::default()
        };
        let judgement = judge(&policy, &organisation, &seen);
        let expected = if exempt {
            (Outcome::Exempt, Reason::Exemption)
        } else {
            (INDICATES, Reason::Product)
        };
        assert_eq!((judgement.outcome, judgement.reason), expected, "{lines}");
        // One that covers it, or did until it ended, is said.
        let ended = lines.ends_with("2024-03-04");
        assert_eq!(
            judgement.exemptions.len(),
            usize::from(exempt || ended),
            "{lines}"
        );
        assert_eq!(
            judgement
                .exemptions
                .iter()
                .any(|text| text.contains("ended")),
            ended
        );
        assert!(
            judgement.questions.is_empty(),
            "nobody need answer: {lines}"
        );
    }
    let engine = Organisation {
        exemptions: vec![exemption("engines = [\"kaspersky\"]\nuntil = 2099-12-31")],
        ..Organisation::default()
    };
    let covered = self::policy(COVERED);
    assert_eq!(
        judge(&covered, &engine, &gateway()).outcome,
        Outcome::Exempt
    );
}

#[test]
fn an_exemption_from_another_policy_does_nothing() {
    let mut other = exemption("zones = [\"office\"]\nuntil = 2099-12-31");
    other.policy = "q".to_owned();
    let organisation = Organisation {
        exemptions: vec![other],
        ..Organisation::default()
    };
    let judgement = judge(&policy(VENDOR), &organisation, &product());
    assert_eq!(
        (judgement.outcome, judgement.exemptions.len()),
        (INDICATES, 0)
    );
}

#[test]
fn several_exemptions_together_may_cover_everything() {
    let seen = Indication {
        purposes: vec![
            used(Purpose::Update, "2024-03-01", "2024-03-05"),
            used(Purpose::Telemetry, "2024-03-01", "2024-03-05"),
        ],
        ..product()
    };
    let update = exemption("purposes = [\"update\"]\nuntil = 2099-12-31");
    let telemetry = exemption("purposes = [\"telemetry\"]\nuntil = 2099-12-31");
    let with = |exemptions: &[&Exemption]| Organisation {
        exemptions: exemptions.iter().map(|one| (*one).clone()).collect(),
        ..Organisation::default()
    };
    let part = judge(&policy(VENDOR), &with(&[&update]), &seen);
    assert_eq!(
        (part.outcome, part.purposes),
        (INDICATES, vec![Purpose::Telemetry])
    );
    let all = judge(&policy(VENDOR), &with(&[&update, &telemetry]), &seen);
    assert_eq!(all.outcome, Outcome::Exempt);
    assert_eq!(all.exemptions.len(), 2);
}

#[test]
fn an_exception_of_the_policy_itself_does_not_end() {
    let mut policy = policy(VENDOR);
    policy.exemptions.push(Exemption {
        until: None,
        ..exemption("products = [\"Kaspersky Threat Intelligence\"]\nuntil = 2024-01-01")
    });
    assert_eq!(result(&policy, &product()), (INDICATES, Reason::Product));
    let seen = Indication {
        product: Some("Kaspersky Threat Intelligence".to_owned()),
        ..product()
    };
    let judgement = judge(&policy, &Organisation::default(), &seen);
    assert_eq!(judgement.outcome, Outcome::Exempt);
    assert!(judgement.exemptions[0].contains("by the policy itself"));
}
