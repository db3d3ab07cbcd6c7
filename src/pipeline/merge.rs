//! Runs of all workers → one sequence of events, in the order of their keys.

use crossbeam_channel::{Receiver, Sender};

use crate::aggregate::{EventRef, EventRun};

/// Something that wants every event, in order.
pub trait EventSink {
    /// Takes the next event; an error ends the run.
    fn event(&mut self, event: EventRef<'_>) -> std::io::Result<()>;

    /// What follows has nothing to do with what came before: other captures, to be kept apart.
    fn next_world(&mut self) {}
}

/// Gives all events of a sorted run to `sink`.
pub(super) fn drain(run: &EventRun, sink: &mut dyn EventSink) -> std::io::Result<()> {
    for position in 0..run.len() {
        if let Some(event) = run.event(position) {
            sink.event(event)?;
        }
    }
    Ok(())
}

/// One worker's end of the line.
pub(super) struct Lane {
    pub runs: Receiver<EventRun>,
    /// Where emptied runs go back.
    pub recycle: Sender<EventRun>,
}

/// The run a lane is at.
struct Current {
    run: EventRun,
    position: usize,
}

/// Merges until all workers are done. Every worker sends the same number of stretches, each ending at the same watermark.
pub(super) fn merge(lanes: &[Lane], sink: &mut dyn EventSink) -> std::io::Result<()> {
    loop {
        let mut current = Vec::with_capacity(lanes.len());
        for lane in lanes {
            match lane.runs.recv() {
                Ok(run) => current.push(Current { run, position: 0 }),
                Err(_) => return Ok(()),
            }
        }
        while let Some(lane) = least(lanes, &mut current) {
            if let Some(at) = current.get_mut(lane) {
                if let Some(event) = at.run.event(at.position) {
                    sink.event(event)?;
                }
                at.position += 1;
            }
        }
        for (lane, at) in lanes.iter().zip(current) {
            // A worker that has ended needs no runs any more.
            let _ = lane.recycle.try_send(at.run);
        }
    }
}

/// The lane with the least key, after runs that are used up were followed by the next of the same stretch.
fn least(lanes: &[Lane], current: &mut [Current]) -> Option<usize> {
    let mut least: Option<(usize, _)> = None;
    for (number, (lane, at)) in lanes.iter().zip(current.iter_mut()).enumerate() {
        while at.position >= at.run.len() && at.run.unfinished {
            let Ok(next) = lane.runs.recv() else { break };
            let used = std::mem::replace(&mut at.run, next);
            at.position = 0;
            let _ = lane.recycle.try_send(used);
        }
        if let Some(key) = at.run.key(at.position)
            && least.is_none_or(|(_, other)| key < other)
        {
            least = Some((number, key));
        }
    }
    least.map(|(number, _)| number)
}
