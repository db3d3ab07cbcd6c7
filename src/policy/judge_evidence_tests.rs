#![allow(clippy::unwrap_used, reason = "a test ends at its first surprise")]

use super::tests::*;
use super::*;

#[test]
fn what_is_weak_stays_undetermined_and_asks() {
    let service = format!("{COVERED}\npurposes = [\"update\"]");
    let change = |change: fn(&mut Indication)| {
        let mut seen = product();
        change(&mut seen);
        seen
    };
    for (lines, seen, reason) in [
        (VENDOR, change(|seen| seen.relay = true), Reason::Relay),
        (
            VENDOR,
            change(|seen| seen.confidence = Confidence::Low),
            Reason::LowConfidence,
        ),
        (
            VENDOR,
            change(|seen| seen.unverified_only = true),
            Reason::Unverified,
        ),
        (
            VENDOR,
            change(|seen| seen.verdict = Verdict::Indeterminate),
            Reason::NotShownInstalled,
        ),
        (&service, change(|seen| seen.relay = true), Reason::Relay),
        (
            &service,
            change(|seen| seen.confidence = Confidence::Low),
            Reason::LowConfidence,
        ),
        (
            &service,
            change(|seen| seen.unverified_only = true),
            Reason::Unverified,
        ),
    ] {
        let judgement = judge(&policy(lines), &Organisation::default(), &seen);
        assert_eq!(
            (judgement.outcome, judgement.reason),
            (UNDETERMINED, reason),
            "{lines}"
        );
        assert_eq!(judgement.questions.len(), 1, "{:?}", judgement.questions);
    }
    // Medium is enough, and so is a contact for a policy about services.
    let medium = change(|seen| seen.confidence = Confidence::Medium);
    assert_eq!(
        result(&policy(VENDOR), &medium),
        (INDICATES, Reason::Product)
    );
    let contact = change(|seen| seen.verdict = Verdict::Indeterminate);
    assert_eq!(
        result(&policy(&service), &contact),
        (INDICATES, Reason::Product)
    );
    // The relay outweighs all: behind it may be anybody.
    let both = change(|seen| {
        seen.relay = true;
        seen.confidence = Confidence::Low;
    });
    assert_eq!(result(&policy(VENDOR), &both).1, Reason::Relay);
}

#[test]
fn blocked_products_are_installed_ones_and_services_not_reached_are_not_provided() {
    let tried = Indication {
        contact: Contact::Attempted,
        ..product()
    };
    let asked = Indication {
        purposes: vec![PurposeSeen {
            contacts: 0,
            ..product().purposes[0]
        }],
        ..product()
    };
    let reached_only = policy(&format!(
        "{VENDOR}\npurposes = [\"update\"]\nreached_only = true"
    ));
    assert_eq!(
        result(&policy(VENDOR), &tried),
        (INDICATES, Reason::Product)
    );
    assert_eq!(
        result(&policy(VENDOR), &asked),
        (INDICATES, Reason::Product)
    );
    assert_eq!(
        result(&reached_only, &product()),
        (INDICATES, Reason::Product)
    );
    assert_eq!(
        result(&reached_only, &tried),
        (UNDETERMINED, Reason::NotReached)
    );
    assert_eq!(
        result(&reached_only, &asked),
        (UNDETERMINED, Reason::NotReached)
    );
}

#[test]
fn a_condition_that_no_packet_shows_is_asked() {
    let mobile = policy(&format!(
        "{VENDOR}\ncondition = \"Is it a mobile device?\"\nquestions = [\"Whose?\"]"
    ));
    let judgement = judge(&mobile, &Organisation::default(), &product());
    assert_eq!(
        (judgement.outcome, judgement.reason),
        (UNDETERMINED, Reason::ConditionOpen)
    );
    assert_eq!(judgement.questions, ["Is it a mobile device?", "Whose?"]);
}

#[test]
fn a_name_that_may_be_a_cover_is_asked_about() {
    let seen = Indication {
        ech_offered: true,
        ..product()
    };
    let judgement = judge(&policy(VENDOR), &Organisation::default(), &seen);
    assert_eq!(judgement.outcome, INDICATES);
    assert!(judgement.questions[0].contains("Encrypted ClientHello"));
}

#[test]
fn the_engine_inside_is_barred_by_the_act_and_not_by_the_directive() {
    let builtin = crate::policy::Policies::builtin().unwrap();
    let agency = Organisation {
        roles: [Role::UsFederalCivilianAgency].into(),
        ..Organisation::default()
    };
    let seen = Indication {
        purposes: vec![used(Purpose::Update, "2018-10-01", "2018-10-01")],
        ..gateway()
    };
    let judged = |id: &str, seen: &Indication| {
        let judgement = judge(builtin.get(id).unwrap(), &agency, seen);
        (judgement.outcome, judgement.reason)
    };
    assert_eq!(
        judged("us-ndaa-1634", &seen),
        (INDICATES, Reason::EmbeddedEngine)
    );
    assert_eq!(
        judged("us-bod-17-01", &seen),
        (NOT_APPLICABLE, Reason::EmbeddedNotCovered)
    );
    // The day before, the directive alone was in force, and only for the branded product.
    let before = vec![used(Purpose::Update, "2018-09-30", "2018-09-30")];
    let seen = Indication {
        purposes: before.clone(),
        ..gateway()
    };
    assert_eq!(
        judged("us-ndaa-1634", &seen),
        (NOT_APPLICABLE, Reason::BeforeItsDays)
    );
    let branded = Indication {
        purposes: before,
        ..product()
    };
    assert_eq!(
        judged("us-ndaa-1634", &branded),
        (NOT_APPLICABLE, Reason::BeforeItsDays)
    );
    assert_eq!(
        judged("us-bod-17-01", &branded),
        (INDICATES, Reason::Product)
    );
}

#[test]
fn from_the_day_of_the_determination_a_reached_cloud_is_the_case_itself() {
    let builtin = crate::policy::Policies::builtin().unwrap();
    let person = Organisation {
        roles: [Role::UsPerson].into(),
        ..Organisation::default()
    };
    let policy = builtin.get("us-ict-2024").unwrap();
    let at = |purpose, day: &str, reached| Indication {
        purposes: vec![used(purpose, day, day)],
        verdict: Verdict::Indeterminate,
        contact: if reached {
            Contact::Reached
        } else {
            Contact::Attempted
        },
        ..product()
    };
    for (seen, expected) in [
        (
            at(Purpose::Reputation, "2024-09-28", true),
            (NOT_APPLICABLE, Reason::BeforeItsDays),
        ),
        (
            at(Purpose::Reputation, "2024-09-29", true),
            (INDICATES, Reason::Product),
        ),
        (
            at(Purpose::Update, "2024-09-29", false),
            (UNDETERMINED, Reason::NotReached),
        ),
        (
            at(Purpose::Licensing, "2024-09-29", true),
            (NOT_APPLICABLE, Reason::OtherPurpose),
        ),
        (
            at(Purpose::Web, "2024-09-29", true),
            (NOT_APPLICABLE, Reason::WebVisit),
        ),
    ] {
        let judgement = judge(policy, &person, &seen);
        assert_eq!((judgement.outcome, judgement.reason), expected, "{seen:?}");
    }
}

#[test]
fn every_reason_has_words() {
    let words: BTreeSet<_> = Reason::ALL.iter().map(|reason| reason.words()).collect();
    assert_eq!(words.len(), Reason::COUNT);
}
