//! What was seen of an exposure → what it indicates. `docs/VERDICTS.md` says the same for readers.
//!
//! A sighting is *solid* if its rule says that the vendor's product makes such contacts, for a purpose that people and other programs
//! do not have (not a web site, not unknown), and the confidence of the attribution is not low: facts from memory, weak rules and
//! evidence that others may have caused never are.

use std::time::Duration;

use super::Rhythm;
use crate::model::{Confidence, Purpose, Timestamp, Verdict, closed_set};

closed_set! {
    /// Why a verdict is what it is.
    pub enum VerdictReason {
        /// Solid evidence on enough occasions.
        ProductRepeated = "product_repeated",
        /// Solid evidence, on enough occasions, of an endpoint that serves somebody's engine inside the vendor's product.
        EngineInsideProduct = "engine_inside_product",
        /// Solid evidence of the vendor's own engine; whose product carries it does not show.
        EngineOfUnknownProduct = "engine_of_unknown_product",
        /// Nothing but web sites.
        WebOnly = "web_only",
        /// Solid evidence, on too few occasions.
        SeenOnce = "seen_once",
        /// Every rule that saw it says that others than the product reach the endpoint too.
        OthersReachItToo = "others_reach_it_too",
        /// No solid evidence.
        WeakEvidence = "weak_evidence",
    }
}

/// What makes a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerdictLimits {
    /// What happens within so long is one occasion.
    pub occasion: Duration,
    /// Solid evidence counts as repeated from so many occasions on.
    pub occasions_min: u32,
}

impl Default for VerdictLimits {
    fn default() -> Self {
        Self {
            // A page or an installer opens its connections within seconds; agents come back after minutes.
            occasion: Duration::from_secs(60),
            // Once can be a person; the same again is a program.
            occasions_min: 2,
        }
    }
}

/// Whose engine an exposure is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineOf {
    /// None is known of.
    Nobody,
    /// The vendor's own, in a product that is not known.
    Vendor,
    /// Somebody else's, inside the vendor's product.
    Another,
}

/// What was seen, as far as the verdict goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerdictFacts {
    /// Something else than a web site was contacted or asked for.
    beyond_web: bool,
    /// A rule says that the vendor's product makes such contacts.
    product: bool,
    /// Times of solid sightings.
    solid: Rhythm,
}

/// One sighting, as far as the verdict goes.
#[derive(Clone, Copy, Debug)]
pub struct VerdictSighting {
    /// When.
    pub at: Timestamp,
    /// What the endpoint serves.
    pub purpose: Purpose,
    /// The rule says that the product makes such contacts.
    pub product: bool,
    /// How sure the attribution is.
    pub confidence: Confidence,
}

impl VerdictFacts {
    /// Takes a sighting into account.
    pub fn add(&mut self, sighting: VerdictSighting, limits: &VerdictLimits) {
        self.beyond_web |= sighting.purpose != Purpose::Web;
        self.product |= sighting.product;
        let telling = !matches!(sighting.purpose, Purpose::Web | Purpose::Unknown);
        if sighting.product && telling && sighting.confidence > Confidence::Low {
            self.solid.happened(sighting.at, limits.occasion);
        }
    }

    /// Occasions of solid evidence.
    pub const fn solid_occasions(&self) -> u32 {
        self.solid.occasions()
    }

    /// What it all indicates, and why.
    pub fn verdict(&self, engine: EngineOf, limits: &VerdictLimits) -> (Verdict, VerdictReason) {
        let occasions = self.solid.occasions();
        if !self.beyond_web {
            (Verdict::Visited, VerdictReason::WebOnly)
        } else if occasions == 0 {
            let reason = if self.product {
                VerdictReason::WeakEvidence
            } else {
                VerdictReason::OthersReachItToo
            };
            (Verdict::Indeterminate, reason)
        } else if engine == EngineOf::Vendor {
            (
                Verdict::EngineContact,
                VerdictReason::EngineOfUnknownProduct,
            )
        } else if occasions < limits.occasions_min {
            (Verdict::Indeterminate, VerdictReason::SeenOnce)
        } else if engine == EngineOf::Another {
            (Verdict::Embedded, VerdictReason::EngineInsideProduct)
        } else {
            (Verdict::Installed, VerdictReason::ProductRepeated)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLID: VerdictSighting = VerdictSighting {
        at: Timestamp::from_nanos(0),
        purpose: Purpose::Update,
        product: true,
        confidence: Confidence::Medium,
    };

    /// The same sighting `times` times, ten minutes apart.
    fn seen(sighting: VerdictSighting, times: u64) -> VerdictFacts {
        let mut facts = VerdictFacts::default();
        for time in 0..times {
            let at = sighting.at.after(Duration::from_secs(600 * time));
            facts.add(
                VerdictSighting { at, ..sighting },
                &VerdictLimits::default(),
            );
        }
        facts
    }

    #[test]
    fn each_case_has_its_verdict() {
        use EngineOf::{Another, Nobody, Vendor};
        use VerdictReason as Why;
        let web = VerdictSighting {
            purpose: Purpose::Web,
            ..SOLID
        };
        let unknown = VerdictSighting {
            purpose: Purpose::Unknown,
            ..SOLID
        };
        let low = VerdictSighting {
            confidence: Confidence::Low,
            ..SOLID
        };
        let contact = VerdictSighting {
            product: false,
            ..SOLID
        };
        for (sighting, times, engine, verdict, why) in [
            (SOLID, 2, Nobody, Verdict::Installed, Why::ProductRepeated),
            (SOLID, 1, Nobody, Verdict::Indeterminate, Why::SeenOnce),
            (
                SOLID,
                2,
                Another,
                Verdict::Embedded,
                Why::EngineInsideProduct,
            ),
            (SOLID, 1, Another, Verdict::Indeterminate, Why::SeenOnce),
            (
                SOLID,
                1,
                Vendor,
                Verdict::EngineContact,
                Why::EngineOfUnknownProduct,
            ),
            (low, 99, Nobody, Verdict::Indeterminate, Why::WeakEvidence),
            (low, 99, Another, Verdict::Indeterminate, Why::WeakEvidence),
            (low, 99, Vendor, Verdict::Indeterminate, Why::WeakEvidence),
            (
                unknown,
                99,
                Nobody,
                Verdict::Indeterminate,
                Why::WeakEvidence,
            ),
            (
                contact,
                99,
                Nobody,
                Verdict::Indeterminate,
                Why::OthersReachItToo,
            ),
            (web, 99, Nobody, Verdict::Visited, Why::WebOnly),
            (web, 99, Another, Verdict::Visited, Why::WebOnly),
        ] {
            assert_eq!(
                seen(sighting, times).verdict(engine, &VerdictLimits::default()),
                (verdict, why),
                "{sighting:?} {times} {engine:?}"
            );
        }
    }

    #[test]
    fn a_burst_is_one_occasion_and_visits_beside_change_nothing() {
        let limits = VerdictLimits::default();
        let mut facts = VerdictFacts::default();
        for second in 0..59 {
            let at = SOLID.at.after(Duration::from_secs(second));
            facts.add(VerdictSighting { at, ..SOLID }, &limits);
        }
        assert_eq!(facts.solid_occasions(), 1);
        let at = SOLID.at.after(Duration::from_secs(3600));
        let web = VerdictSighting {
            at,
            purpose: Purpose::Web,
            ..SOLID
        };
        facts.add(web, &limits);
        assert_eq!(
            facts.verdict(EngineOf::Nobody, &limits).1,
            VerdictReason::SeenOnce
        );
        facts.add(VerdictSighting { at, ..SOLID }, &limits);
        assert_eq!(
            facts.verdict(EngineOf::Nobody, &limits).0,
            Verdict::Installed
        );
    }
}
