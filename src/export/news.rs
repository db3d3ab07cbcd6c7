//! Alerts, suggestions and silent hosts as metrics.

use crate::alert::{AlertKind, SuggestionReason};
use crate::model::Severity;
use crate::report::News;

/// Gives every sample to `add`: name, labels, number to add.
pub(super) fn news(news: &News, mut add: impl FnMut(&'static str, &[&str], u64)) {
    const ALERTS: &str = "avscope_alerts_total";
    const SUGGESTIONS: &str = "avscope_suggestions";
    const EXPECTED: &str = "avscope_expected_hosts";
    for kind in AlertKind::ALL {
        for severity in Severity::ALL {
            add(ALERTS, &[kind.as_str(), severity.as_str()], 0);
        }
    }
    for alert in &news.alerts {
        let labels = [alert.kind.as_str(), alert.severity.as_str()];
        add(ALERTS, &labels, alert.count);
    }
    for (list, refused) in &news.refused {
        add("avscope_news_refused_total", &[list], *refused);
    }
    for reason in SuggestionReason::ALL {
        add(SUGGESTIONS, &[reason.as_str()], 0);
    }
    for suggestion in &news.suggestions {
        add(SUGGESTIONS, &[suggestion.reason.as_str()], 1);
    }
    for zone in &news.expected {
        let place = zone.zone.as_deref().unwrap_or("all");
        for (state, hosts) in [
            ("speaking", zone.speaking_hosts),
            ("silent", zone.silent_hosts),
            ("brief", zone.briefly_active_hosts),
        ] {
            add(EXPECTED, &[&zone.vendor, place, state], hosts);
        }
    }
}
