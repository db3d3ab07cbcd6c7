//! Prints the stated chance of having missed an installation beside how many of 10,000 simulated ones were missed.
//!
//! `cargo run --release --example absence`

mod simulation;

use std::io::Write as _;

use avscope::absence::chance::{Intervals, Measured, share, unseen};
use simulation::{Habit, Random, Watch, measure, named};

const INSTALLATIONS: u32 = 10_000;
const HOUR: f64 = 3600.0;

fn main() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let mut random = Random::new(1);
    writeln!(
        out,
        "contacts every hour on average, measured on 20 installations in 12 hours; {INSTALLATIONS} installations each\n\n\
        {:<10} {:>6} {:>6} {:>6}   {:<28} {:>8}",
        "habit", "hours", "named", "lost", "stated", "observed"
    )?;
    for habit in Habit::ALL {
        for (hours, name_share, lost) in [
            (1.0, 0.9, 0.0),
            (2.0, 0.7, 0.05),
            (6.0, 0.3, 0.2),
            (24.0, 0.1, 0.1),
        ] {
            let (whole, running) = measure(20, habit, HOUR, 12.0 * HOUR, &mut random);
            let visible = share(named(500, name_share, &mut random), 500).times(1.0 - lost);
            let watch = Watch {
                seconds: hours * HOUR,
                named: name_share,
                lost,
            };
            let observed = simulation::unseen(INSTALLATIONS, habit, HOUR, watch, &mut random);
            let stated = Measured::new(whole, running, 5).and_then(|measured| {
                unseen(
                    &Intervals::Measured(measured),
                    &[(watch.seconds, 1)],
                    visible,
                )
            });
            let stated = stated.map_or_else(String::new, |chance| {
                format!(
                    "{:.2} % ({:.2} to {:.2} %)",
                    chance.best * 100.0,
                    chance.low * 100.0,
                    chance.high * 100.0
                )
            });
            writeln!(
                out,
                "{:<10} {hours:>6} {name_share:>6} {lost:>6}   {stated:<28} {:>6.2} %",
                format!("{habit:?}"),
                f64::from(observed) / f64::from(INSTALLATIONS) * 100.0
            )?;
        }
    }
    Ok(())
}
