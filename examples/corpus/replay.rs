//! A capture → what avscope writes about it: the names and the events, as the JSON that users get.

use std::path::Path;
use std::sync::Arc;

use avscope::aggregate::{EventRef, Ledger};
use avscope::attribute::Ruleset;
use avscope::capture::CaptureFiles;
use avscope::config::{self, Limits};
use avscope::geo::{Countries, OperatorTable};
use avscope::pipeline::{self, EventSink, conservation};
use avscope::store::{EventWriter, Names};
use serde_json::Value;

/// Everything a capture gives.
pub struct Replayed {
    /// Rows of the list of names.
    pub names: Vec<Value>,
    /// Lines of events.
    pub events: Vec<Value>,
    /// Law 1.
    pub conserved: bool,
}

struct Sink {
    ledger: Ledger,
    names: Names,
    events: EventWriter<Vec<u8>>,
}

impl EventSink for Sink {
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()> {
        self.ledger.event(event);
        self.names.event(event);
        self.events.event(event, self.ledger.judgement())
    }
}

/// Reads one capture to its end or its damage.
pub fn replay(capture: &Path, rules: &Arc<Ruleset>) -> Replayed {
    let settings = config::offline(Some(1), 64, &Limits::default(), &[], Arc::clone(rules))
        .expect("the defaults are valid");
    let operators = Arc::new(OperatorTable::builtin().expect("the built-in table is valid"));
    let ledger = Ledger::new(
        Arc::clone(rules),
        Arc::new(Countries::Embedded),
        Arc::clone(&operators),
        Arc::clone(&settings.home),
        &settings.ledger,
    );
    let mut sink = Sink {
        ledger,
        names: Names::default(),
        events: EventWriter::new(
            Vec::new(),
            Arc::clone(rules),
            Arc::new(Countries::Embedded),
            operators,
            Vec::new(),
        ),
    };
    let mut source = CaptureFiles::new(vec![capture.to_owned()]);
    let outcome = pipeline::replay(&mut source, &settings, &mut sink)
        .expect("captures are read to their damage");
    let conserved = conservation(&outcome, &sink.ledger, source.reports()).holds();
    let names = sink
        .names
        .rows()
        .map(|(row, _)| serde_json::to_value(row).expect("rows are JSON"))
        .collect();
    let events = sink
        .events
        .into_inner()
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("lines are JSON"))
        .collect();
    Replayed {
        names,
        events,
        conserved,
    }
}
