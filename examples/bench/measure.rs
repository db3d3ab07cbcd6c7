//! A command → the CPU time, the wall time and the peak memory of its process.
#![allow(
    unsafe_code,
    reason = "the standard library waits for a child without asking what it used"
)]

use std::ffi::OsString;
use std::mem::MaybeUninit;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

/// What a process used.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// User and system time of all its threads.
    pub cpu: Duration,
    /// Time until it ended.
    pub wall: Duration,
    /// The most memory it had resident, mapped files with it.
    pub resident_kilobytes: u64,
}

/// Runs of the same command.
#[derive(Debug, Default)]
pub struct Series(Vec<Cost>);

impl Series {
    /// Adds a run.
    pub fn add(&mut self, cost: Cost) {
        self.0.push(cost);
    }

    /// The least of each figure: what else the machine does can only add.
    pub fn least(&self) -> Cost {
        let least =
            |figure: fn(&Cost) -> Duration| self.0.iter().map(figure).min().unwrap_or_default();
        Cost {
            cpu: least(|cost| cost.cpu),
            wall: least(|cost| cost.wall),
            resident_kilobytes: self
                .0
                .iter()
                .map(|cost| cost.resident_kilobytes)
                .max()
                .unwrap_or_default(),
        }
    }
}

/// Runs `command` with its output to `/dev/null` and waits for it.
pub fn run(command: &[OsString]) -> anyhow::Result<Cost> {
    let (name, arguments) = command.split_first().context("an empty command")?;
    #[allow(
        clippy::disallowed_methods,
        reason = "wall time of another process is what is measured"
    )]
    let begin = Instant::now();
    #[allow(
        clippy::zombie_processes,
        reason = "wait4 below waits for it, which clippy does not see"
    )]
    let child = Command::new(name)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("cannot run {}", name.display()))?;
    let id = libc::pid_t::try_from(child.id())?;
    let (mut status, mut usage) = (0, MaybeUninit::<libc::rusage>::uninit());
    // SAFETY: `id` is a child of this process that nobody else waits for, and both pointers are to memory that
    // outlives the call and is large enough for what the call writes.
    let ended = unsafe { libc::wait4(id, &raw mut status, 0, usage.as_mut_ptr()) };
    let wall = begin.elapsed();
    ensure!(
        ended == id,
        "cannot wait for {}: {}",
        name.display(),
        std::io::Error::last_os_error()
    );
    ensure!(
        libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
        "{} ended with wait status {status:#x}",
        name.display()
    );
    // SAFETY: wait4 has returned the child's id and has therefore filled the structure.
    let usage = unsafe { usage.assume_init() };
    Ok(Cost {
        cpu: duration(usage.ru_utime)? + duration(usage.ru_stime)?,
        wall,
        resident_kilobytes: u64::try_from(usage.ru_maxrss)?,
    })
}

fn duration(time: libc::timeval) -> anyhow::Result<Duration> {
    let seconds = Duration::from_secs(u64::try_from(time.tv_sec)?);
    Ok(seconds + Duration::from_micros(u64::try_from(time.tv_usec)?))
}
