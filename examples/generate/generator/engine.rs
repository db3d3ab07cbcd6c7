//! A source of flows → the capture, packet by packet in order of time, and the truth about it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::addresses::Addresses;
use super::flow::{Flow, Payload, Side};
use super::load;
use super::office::Office;
use super::options::{Options, Shape};
use super::packet::{FrameBuilder, Transport, flags};
use super::pcap::PcapWriter;
use super::random::Random;
use super::truth::{Ledger, Truth};

/// No flow is silent for longer than this, so that no idle time-out above it cuts one in two.
pub const SILENCE_MAX_NANOSECONDS: u64 = 25_000_000_000;

const BUFFER_BYTES: usize = 1 << 20;

/// Why no capture was made.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    /// A file could not be created or written.
    #[error("{}: {source}; is the directory there and the disk not full?", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A number on the command line is too small or too large to make this shape.
    #[error("{option} is {given}, but must be between {low} and {high} here")]
    OutOfRange {
        /// The option.
        option: &'static str,
        /// What was asked for.
        given: u64,
        /// The least possible.
        low: u64,
        /// The most possible.
        high: u64,
    },
    /// A flow was silent for so long that time-outs could cut it: a fault of the shape itself.
    #[error("a flow was silent for {nanoseconds} ns; the truth about flows would not be exact")]
    SilentFlow {
        /// How long.
        nanoseconds: u64,
    },
}

impl GenerateError {
    /// Checks that `given` lies in `low..=high`.
    pub fn check(option: &'static str, given: u64, low: u64, high: u64) -> Result<u64, Self> {
        if (low..=high).contains(&given) {
            Ok(given)
        } else {
            Err(Self::OutOfRange {
                option,
                given,
                low,
                high,
            })
        }
    }
}

/// Makes flows one after another, each beginning no earlier than the one before.
pub trait FlowSource {
    /// The next flow; `None` when the capture has all it needs.
    fn next_flow(&mut self) -> Option<Flow>;
}

/// Generates what `options` ask for and writes capture and truth.
pub fn generate(options: &Options) -> Result<Truth, GenerateError> {
    GenerateError::check("--hosts", options.hosts(), 4, 0x00ff_0000)?;
    let mut source: Box<dyn FlowSource> = match options.shape {
        Shape::Office => Box::new(Office::new(options)?),
        Shape::ShortTls => Box::new(load::ShortTls::new(options)?),
        Shape::Bulk => Box::new(load::Bulk::new(options)?),
        Shape::SynFlood => Box::new(load::SynFlood::new(options)?),
        Shape::Small => Box::new(load::Small::new(options)?),
        Shape::Concurrent => Box::new(load::Concurrent::new(options)?),
    };
    let failed = |source| GenerateError::Write {
        path: options.output.clone(),
        source,
    };
    let flows: Option<Box<dyn Write>> = match &options.flows_truth {
        Some(path) => Some(Box::new(create(path)?)),
        None => None,
    };
    let mut random = Random::new(options.seed ^ 0x6e6f_6973_6500);
    let mut run = Run {
        builder: FrameBuilder::new(
            &mut random,
            matches!(options.shape, Shape::Office | Shape::Small),
        ),
        writer: PcapWriter::new(create(&options.output)?, options.nanoseconds).map_err(failed)?,
        ledger: Ledger::new(options, flows),
        open: Vec::new(),
        free: Vec::new(),
        due: BinaryHeap::new(),
        path: &options.output,
    };
    run.all(source.as_mut())?;
    let truth = run.finish()?;
    write_truth(&options.output, &truth)?;
    Ok(truth)
}

/// Where the truth about `capture` is written.
pub fn truth_path(capture: &Path) -> PathBuf {
    capture.with_extension("truth.json")
}

fn write_truth(capture: &Path, truth: &Truth) -> Result<(), GenerateError> {
    let path = truth_path(capture);
    let mut output = create(&path)?;
    serde_json::to_writer_pretty(&mut output, truth)
        .map_err(io::Error::from)
        .and_then(|()| output.write_all(b"\n"))
        .and_then(|()| output.flush())
        .map_err(|source| GenerateError::Write { path, source })
}

fn create(path: &Path) -> Result<BufWriter<File>, GenerateError> {
    match File::create(path) {
        Ok(file) => Ok(BufWriter::with_capacity(BUFFER_BYTES, file)),
        Err(source) => Err(GenerateError::Write {
            path: path.to_path_buf(),
            source,
        }),
    }
}

struct OpenFlow {
    flow: Flow,
    began_with_syn: bool,
}

struct Run<'a> {
    builder: FrameBuilder,
    writer: PcapWriter<BufWriter<File>>,
    ledger: Ledger,
    /// Open flows; a place is used again when its flow is done.
    open: Vec<Option<OpenFlow>>,
    free: Vec<u32>,
    /// Time of the next packet of each open flow, earliest first.
    due: BinaryHeap<Reverse<(u64, u32)>>,
    path: &'a Path,
}

impl Run<'_> {
    fn all(&mut self, source: &mut dyn FlowSource) -> Result<(), GenerateError> {
        let mut coming = source.next_flow();
        loop {
            let next = self.due.peek().map_or(u64::MAX, |Reverse((at, _))| *at);
            match coming.as_ref().map(Flow::next_at) {
                Some(Some(at)) if at <= next => {
                    if let Some(flow) = coming.take() {
                        self.begin(flow, at);
                    }
                    coming = source.next_flow();
                }
                // A flow without packets never happened.
                Some(None) => coming = source.next_flow(),
                _ if next == u64::MAX => return Ok(()),
                _ => self.step()?,
            }
        }
    }

    fn begin(&mut self, flow: Flow, at: u64) {
        let entry = Some(OpenFlow {
            flow,
            began_with_syn: false,
        });
        let place = if let Some(place) = self.free.pop() {
            self.open[place as usize] = entry;
            place
        } else {
            self.open.push(entry);
            (self.open.len() - 1) as u32
        };
        self.due.push(Reverse((at, place)));
    }

    /// Sends the packet that is due next.
    fn step(&mut self) -> Result<(), GenerateError> {
        let Some(mut top) = self.due.peek_mut() else {
            return Ok(());
        };
        let Reverse((_, place)) = *top;
        let entry = &mut self.open[place as usize];
        let Some(OpenFlow {
            flow,
            began_with_syn,
        }) = entry
        else {
            return Ok(());
        };
        let Some(step) = flow.take() else {
            return Ok(());
        };
        let frame = self.builder.build(flow, &step);
        let written = self.writer.write(step.at, frame.bytes);
        written.map_err(|source| GenerateError::Write {
            path: self.path.to_path_buf(),
            source,
        })?;
        self.ledger.frame(flow.vlan, frame.ip_length);
        flow.packets[step.side.index()] += 1;
        flow.bytes[step.side.index()] += frame.ip_length;
        flow.named |= step.completes_name;
        *began_with_syn |= step.side == Side::Initiator && step.flags & flags::SYN != 0;
        if let Some(last) = flow.last_at.replace(step.at)
            && flow.key.transport != Transport::Arp
        {
            let nanoseconds = step.at - last;
            if nanoseconds > SILENCE_MAX_NANOSECONDS {
                return Err(GenerateError::SilentFlow { nanoseconds });
            }
            self.ledger.silence(nanoseconds);
        }
        if let Some(at) = flow.next_at() {
            *top = Reverse((at, place));
            if matches!(step.payload, Payload::Blob { .. }) {
                flow.release_blob();
            }
            return Ok(());
        }
        std::collections::binary_heap::PeekMut::pop(top);
        if let Some(done) = entry.take() {
            self.free.push(place);
            let counted = self.ledger.flow(&done.flow, done.began_with_syn);
            counted.map_err(|source| GenerateError::Write {
                path: self.path.to_path_buf(),
                source,
            })?;
        }
        Ok(())
    }

    fn finish(self) -> Result<Truth, GenerateError> {
        let bytes = self.writer.bytes();
        let path = self.path;
        self.writer
            .finish()
            .and_then(|()| self.ledger.finish(bytes))
            .map_err(|source| GenerateError::Write {
                path: path.to_path_buf(),
                source,
            })
    }
}

/// Checks that a home network can begin so many flows without using a tuple twice.
pub fn check_flows(option: &'static str, flows: u64, hosts: u64) -> Result<u64, GenerateError> {
    GenerateError::check(option, flows, 1, Addresses::capacity(hosts))
}
