#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::*;
use crate::attribute::EngineRelation;
use crate::policy::{EngineInside, ExemptionTable, parse_day};

/// A policy of few lines, as a configuration has it.
pub(super) fn policy(lines: &str) -> Policy {
    let text = format!("id = \"p\"\ntitle = \"P\"\n{lines}");
    let table: crate::policy::PolicyTable = toml::from_str(&text).unwrap();
    table.policy("a.toml", &text).unwrap()
}

pub(super) fn exemption(lines: &str) -> Exemption {
    let text = format!("policy = \"p\"\nreason = \"waiver\"\n{lines}");
    let table: ExemptionTable = toml::from_str(&text).unwrap();
    table.exemption("a.toml", &text).unwrap()
}

pub(super) fn day(text: &str) -> ValidityDate {
    parse_day(text).unwrap()
}

pub(super) fn used(purpose: Purpose, first: &str, last: &str) -> PurposeSeen {
    PurposeSeen {
        purpose,
        contacts: 2,
        questions: 1,
        first_seen: day(first),
        last_seen: day(last),
    }
}

/// An installed product of Kaspersky that fetched updates on two days.
pub(super) fn product() -> Indication {
    Indication {
        site: None,
        host: "192.168.10.20".parse().unwrap(),
        zone: Some("office".to_owned()),
        vendor: "kaspersky".to_owned(),
        parent: Some("Kaspersky Labs Limited (United Kingdom)".to_owned()),
        seat: "RU".parse().unwrap(),
        product: Some("Kaspersky Endpoint Security".to_owned()),
        engine: None,
        purposes: vec![used(Purpose::Update, "2024-03-01", "2024-03-05")],
        verdict: Verdict::Installed,
        contact: Contact::Reached,
        confidence: Confidence::High,
        unverified_only: false,
        relay: false,
        ech_offered: false,
    }
}

/// Its engine inside a gateway of Check Point.
pub(super) fn gateway() -> Indication {
    Indication {
        vendor: "checkpoint".to_owned(),
        parent: None,
        seat: "IL".parse().unwrap(),
        product: Some("Endpoint Security".to_owned()),
        engine: Some(EngineInside {
            vendor: "kaspersky".to_owned(),
            parent: Some("Kaspersky Labs Limited (United Kingdom)".to_owned()),
            seat: "RU".parse().unwrap(),
            relation: EngineRelation::Engine,
        }),
        verdict: Verdict::Embedded,
        ..product()
    }
}

/// The engine's own cloud: whose product called it is not known.
pub(super) fn cloud() -> Indication {
    Indication {
        engine: gateway().engine,
        verdict: Verdict::EngineContact,
        ..product()
    }
}

pub(super) fn result(policy: &Policy, seen: &Indication) -> (Outcome, Reason) {
    let judgement = judge(policy, &Organisation::default(), seen);
    (judgement.outcome, judgement.reason)
}

pub(super) const INDICATES: Outcome = Outcome::Indicates;
pub(super) const UNDETERMINED: Outcome = Outcome::Undetermined;
pub(super) const NOT_APPLICABLE: Outcome = Outcome::NotApplicable;

pub(super) const VENDOR: &str = "vendors = [\"kaspersky\"]";
pub(super) const COVERED: &str = "vendors = [\"kaspersky\"]\nembedded = \"covered\"";

#[test]
fn who_declares_no_role_is_bound_by_nothing() {
    let builtin = crate::policy::Policies::builtin().unwrap();
    for policy in builtin.iter() {
        for seen in [product(), gateway(), cloud()] {
            let expected = (NOT_APPLICABLE, Reason::RoleNotDeclared);
            assert_eq!(result(policy, &seen), expected, "{}", policy.id);
        }
    }
}

#[test]
fn a_policy_is_judged_by_for_a_reason() {
    let bound = policy(&format!(
        "{VENDOR}\nbinds = [\"us-person\", \"us-federal-contractor\"]"
    ));
    let own = policy(VENDOR);
    let preset = Policy {
        own: false,
        ..own.clone()
    };
    let nobody = Organisation::default();
    let contractor = Organisation {
        roles: [Role::UsFederalContractor].into(),
        ..Organisation::default()
    };
    let other = Organisation {
        roles: [Role::NlVitalSector].into(),
        ..Organisation::default()
    };
    let adopted = Organisation {
        adopted: ["p".to_owned()].into(),
        ..Organisation::default()
    };
    let named = Organisation {
        named: ["p".to_owned()].into(),
        ..Organisation::default()
    };
    let named_other = Organisation {
        named: ["q".to_owned()].into(),
        ..contractor.clone()
    };
    for (organisation, policy, expected) in [
        (&nobody, &bound, None),
        (&other, &bound, None),
        (&contractor, &bound, Some(Basis::Role)),
        (&adopted, &bound, Some(Basis::Adopted)),
        (&named, &bound, Some(Basis::Named)),
        (&named_other, &bound, None),
        (&nobody, &own, Some(Basis::Own)),
        (&named_other, &own, None),
        (&nobody, &preset, None),
        (&contractor, &preset, None),
        (&adopted, &preset, Some(Basis::Adopted)),
        (&named, &preset, Some(Basis::Named)),
    ] {
        assert_eq!(organisation.basis(policy), expected);
        let judgement = judge(policy, organisation, &product());
        assert_eq!(judgement.basis, expected);
        assert_eq!(
            judgement.reason == Reason::RoleNotDeclared,
            expected.is_none()
        );
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one table of cases")]
fn whom_a_policy_is_about() {
    let other = Reason::OtherVendor;
    let cases: &[(&str, Indication, Outcome, Reason)] = &[
        (VENDOR, product(), INDICATES, Reason::Product),
        ("vendors = [\"eset\"]", product(), NOT_APPLICABLE, other),
        (
            "vendors = [\"eset\", \"kaspersky\"]",
            product(),
            INDICATES,
            Reason::Product,
        ),
        ("seats = [\"RU\"]", product(), INDICATES, Reason::Product),
        ("seats = [\"CN\"]", product(), NOT_APPLICABLE, other),
        (
            "parents = [\"Kaspersky Labs Limited\"]",
            product(),
            INDICATES,
            Reason::Product,
        ),
        (
            "parents = [\"Kaspersky Lab\"]",
            product(),
            NOT_APPLICABLE,
            other,
        ),
        // Engines inside others' products.
        (
            VENDOR,
            gateway(),
            NOT_APPLICABLE,
            Reason::EmbeddedNotCovered,
        ),
        (COVERED, gateway(), INDICATES, Reason::EmbeddedEngine),
        (
            "vendors = [\"kaspersky\"]\nembedded = \"excluded\"",
            gateway(),
            NOT_APPLICABLE,
            Reason::EmbeddedNotCovered,
        ),
        (
            "vendors = [\"kaspersky\"]\nembedded = \"unclear\"",
            gateway(),
            UNDETERMINED,
            Reason::EmbeddedUnclear,
        ),
        (
            "vendors = [\"eset\"]\nembedded = \"covered\"",
            gateway(),
            NOT_APPLICABLE,
            other,
        ),
        (
            "vendors = [\"eset\"]\nembedded = \"unclear\"",
            gateway(),
            NOT_APPLICABLE,
            other,
        ),
        (
            "seats = [\"RU\"]",
            gateway(),
            NOT_APPLICABLE,
            Reason::EmbeddedNotCovered,
        ),
        (
            "seats = [\"RU\"]\nembedded = \"covered\"",
            gateway(),
            INDICATES,
            Reason::EmbeddedEngine,
        ),
        (
            "parents = [\"Kaspersky Labs Limited\"]\nembedded = \"covered\"",
            gateway(),
            INDICATES,
            Reason::EmbeddedEngine,
        ),
        (
            "engines = [\"kaspersky\"]",
            gateway(),
            INDICATES,
            Reason::EmbeddedEngine,
        ),
        (
            "engines = [\"kaspersky\"]",
            product(),
            NOT_APPLICABLE,
            other,
        ),
        (
            "engines = [\"bitdefender\"]",
            gateway(),
            NOT_APPLICABLE,
            other,
        ),
        // The product's vendor is meant, whoever's engine is inside.
        (
            "vendors = [\"checkpoint\"]",
            gateway(),
            INDICATES,
            Reason::Product,
        ),
        ("seats = [\"IL\"]", gateway(), INDICATES, Reason::Product),
        // The vendor's own engine or cloud.
        (VENDOR, cloud(), UNDETERMINED, Reason::ProductUnknown),
        (COVERED, cloud(), INDICATES, Reason::EngineOrCloud),
        (
            "vendors = [\"kaspersky\"]\nembedded = \"unclear\"",
            cloud(),
            UNDETERMINED,
            Reason::ProductUnknown,
        ),
        (
            "engines = [\"kaspersky\"]",
            cloud(),
            INDICATES,
            Reason::EngineOrCloud,
        ),
        ("vendors = [\"eset\"]", cloud(), NOT_APPLICABLE, other),
    ];
    for (lines, seen, outcome, reason) in cases {
        assert_eq!(
            result(&policy(lines), seen),
            (*outcome, *reason),
            "{lines} {seen:?}"
        );
    }
    // Without an engine in the rule the verdict alone can say so.
    let bare = Indication {
        engine: None,
        ..cloud()
    };
    assert_eq!(
        result(&policy(VENDOR), &bare),
        (UNDETERMINED, Reason::ProductUnknown)
    );
    assert_eq!(
        result(&policy(COVERED), &bare),
        (INDICATES, Reason::EngineOrCloud)
    );
    // And the rule alone where the verdict says a product is installed.
    let installed = Indication {
        verdict: Verdict::Installed,
        ..cloud()
    };
    assert_eq!(
        result(&policy(VENDOR), &installed),
        (UNDETERMINED, Reason::ProductUnknown)
    );
}

#[test]
fn a_server_in_a_country_is_no_seat_there() {
    // An indication does not even say where servers stand.
    let swiss = policy("seats = [\"CH\"]\nembedded = \"covered\"");
    assert_eq!(
        result(&swiss, &product()),
        (NOT_APPLICABLE, Reason::OtherVendor)
    );
}

#[test]
fn an_owner_is_known_by_whole_words() {
    for (name, parent, expected) in [
        ("Gen Digital Inc.", "Gen Digital Inc. (US)", true),
        ("Broadcom Inc.", "Broadcom Inc.", true),
        (
            "Arctic Wolf (US)",
            "Arctic Wolf (US), until 2025 BlackBerry Limited (CA)",
            true,
        ),
        ("Broad", "Broadcom Inc.", false),
        ("Broadcom Inc. of", "Broadcom Inc.", false),
    ] {
        assert_eq!(owns(name, parent), expected, "{name} {parent}");
    }
}

#[test]
fn only_hosts_of_its_zones() {
    let zoned = policy(&format!("{VENDOR}\nzones = [\"lab\", \"office\"]"));
    assert_eq!(result(&zoned, &product()), (INDICATES, Reason::Product));
    for zone in [None, Some("guests".to_owned())] {
        let seen = Indication { zone, ..product() };
        assert_eq!(result(&zoned, &seen), (NOT_APPLICABLE, Reason::OtherZone));
    }
}

#[test]
fn a_visit_to_a_web_site_is_never_a_use() {
    let visit = Indication {
        purposes: vec![used(Purpose::Web, "2024-03-01", "2024-03-05")],
        ..product()
    };
    let visited = Indication {
        verdict: Verdict::Visited,
        ..product()
    };
    let service = format!("{COVERED}\npurposes = [\"update\"]");
    for lines in [VENDOR, COVERED, &service] {
        for seen in [&visit, &visited] {
            assert_eq!(
                result(&policy(lines), seen),
                (NOT_APPLICABLE, Reason::WebVisit),
                "{lines}"
            );
        }
    }
    // Beside a use it neither adds nor takes away.
    let both = Indication {
        purposes: [visit.purposes, product().purposes].concat(),
        ..product()
    };
    let judgement = judge(&policy(VENDOR), &Organisation::default(), &both);
    assert_eq!(judgement.outcome, INDICATES);
    assert_eq!(judgement.purposes, [Purpose::Update]);
}

#[test]
fn what_informs_indicates_nothing() {
    let list = policy(&format!("{VENDOR}\nkind = \"information\""));
    assert_eq!(
        result(&list, &product()),
        (NOT_APPLICABLE, Reason::ForbidsNoUse)
    );
}

#[test]
fn only_the_services_that_it_is_about() {
    let with = |purposes: &[Purpose]| Indication {
        purposes: purposes
            .iter()
            .map(|purpose| used(*purpose, "2024-03-01", "2024-03-05"))
            .collect(),
        ..product()
    };
    let service = policy(&format!(
        "{VENDOR}\npurposes = [\"update\", \"reputation\"]"
    ));
    for (purposes, expected) in [
        (&[Purpose::Update][..], (INDICATES, Reason::Product)),
        (
            &[Purpose::Licensing, Purpose::Reputation],
            (INDICATES, Reason::Product),
        ),
        (
            &[Purpose::Licensing],
            (NOT_APPLICABLE, Reason::OtherPurpose),
        ),
        (&[Purpose::Unknown], (UNDETERMINED, Reason::PurposeUnknown)),
        (
            &[Purpose::Licensing, Purpose::Unknown],
            (UNDETERMINED, Reason::PurposeUnknown),
        ),
        (
            &[Purpose::Web, Purpose::Licensing],
            (NOT_APPLICABLE, Reason::OtherPurpose),
        ),
    ] {
        assert_eq!(result(&service, &with(purposes)), expected, "{purposes:?}");
    }
    // A policy about use takes any.
    assert_eq!(
        result(&policy(VENDOR), &with(&[Purpose::Unknown])),
        (INDICATES, Reason::Product)
    );
    // What was neither contacted nor asked for is nothing.
    let nothing = Indication {
        purposes: vec![PurposeSeen {
            contacts: 0,
            questions: 0,
            ..product().purposes[0]
        }],
        ..product()
    };
    assert_eq!(
        result(&policy(VENDOR), &nothing),
        (NOT_APPLICABLE, Reason::OtherPurpose)
    );
}

#[test]
fn days_count_to_the_day() {
    // Seen from 1 to 5 March.
    for (days, expected) in [
        ("from = 2024-03-05", (INDICATES, Reason::Product)),
        ("from = 2024-03-06", (NOT_APPLICABLE, Reason::BeforeItsDays)),
        ("until = 2024-03-01", (INDICATES, Reason::Product)),
        ("until = 2024-02-29", (NOT_APPLICABLE, Reason::AfterItsDays)),
        (
            "from = 2024-03-01\nuntil = 2024-03-01",
            (INDICATES, Reason::Product),
        ),
        (
            "from = 2024-03-05\nuntil = 2024-03-05",
            (INDICATES, Reason::Product),
        ),
        (
            "from = 2024-03-02\nuntil = 2024-03-04",
            (UNDETERMINED, Reason::DaysUnknown),
        ),
        (
            "from = 2024-03-06\nuntil = 2024-03-09",
            (NOT_APPLICABLE, Reason::BeforeItsDays),
        ),
        (
            "from = 2024-02-01\nuntil = 2024-02-29",
            (NOT_APPLICABLE, Reason::AfterItsDays),
        ),
    ] {
        let policy = policy(&format!("{VENDOR}\n{days}"));
        assert_eq!(result(&policy, &product()), expected, "{days}");
    }
    // Only the services on its days count: licensing ended before.
    let seen = Indication {
        purposes: vec![
            used(Purpose::Licensing, "2024-03-01", "2024-03-02"),
            used(Purpose::Update, "2024-03-01", "2024-03-05"),
        ],
        ..product()
    };
    let policy = policy(&format!("{VENDOR}\nfrom = 2024-03-03"));
    let judgement = judge(&policy, &Organisation::default(), &seen);
    assert_eq!(judgement.purposes, [Purpose::Update]);
}
