//! What is new, as far as it is known from before, and who is silent: for all formats.

use std::collections::BTreeMap;

use crate::alert::{Alert, AlertEngine, CanarySighting, ExpectedZone, Suggestion};

/// What somebody should look at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct News {
    /// Alerts, in the order in which they were raised.
    pub alerts: Vec<Alert>,
    /// Names near to vendors that no rule knows.
    pub suggestions: Vec<Suggestion>,
    /// Hosts that do not speak to who is expected in their zone.
    pub expected: Vec<ExpectedZone>,
    /// Canaries that were seen.
    pub canaries: Vec<CanarySighting>,
    /// What found no room, by list.
    pub refused: BTreeMap<&'static str, u64>,
    /// Entries that had to leave the state.
    pub state_forgotten: u64,
    /// Something was known from before.
    pub has_past: bool,
}

impl News {
    /// What an engine came to.
    pub fn of(engine: &AlertEngine, expected: Vec<ExpectedZone>) -> Self {
        Self {
            alerts: engine.alerts().to_vec(),
            suggestions: engine.suggestions(),
            expected,
            canaries: engine.canaries(),
            refused: engine.refused().into(),
            state_forgotten: 0,
            has_past: engine.has_past(),
        }
    }
}
