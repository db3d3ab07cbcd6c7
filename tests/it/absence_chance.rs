//! The stated chance of having missed an installation against simulated ones that were missed.

#[path = "../../examples/absence/simulation.rs"]
mod simulation;

use avscope::absence::chance::{Estimate, Intervals, Measured, share, unseen};
use simulation::{Habit, Random, Watch, measure, named};

const INSTALLATIONS: u32 = 10_000;
const HOUR: f64 = 3600.0;

/// What ten thousand draws themselves leave in doubt: three standard errors.
fn of_the_simulation(observed: f64) -> f64 {
    3.0 * (observed.max(1e-3) * (1.0 - observed).max(1e-3) / f64::from(INSTALLATIONS)).sqrt()
}

fn observed(habit: Habit, watch: Watch, random: &mut Random) -> f64 {
    let unseen = simulation::unseen(INSTALLATIONS, habit, HOUR, watch, random);
    f64::from(unseen) / f64::from(INSTALLATIONS)
}

/// With everything known the number itself agrees.
#[test]
fn the_stated_chance_is_the_share_of_ten_thousand_installations_that_were_missed() {
    let mut random = Random::new(7);
    for habit in Habit::ALL {
        let (whole, running) = measure(2000, habit, HOUR, 200.0 * HOUR, &mut random);
        let measured = Measured::new(whole, running, 5).unwrap();
        for (hours, name_share, lost) in [
            (0.5, 1.0, 0.0),
            (1.5, 0.6, 0.1),
            (4.0, 0.5, 0.0),
            (12.0, 0.2, 0.05),
            (48.0, 0.05, 0.3),
            (100.0, 0.02, 0.0),
        ] {
            let watch = Watch {
                seconds: hours * HOUR,
                named: name_share,
                lost,
            };
            let visible = Estimate::exact(name_share * (1.0 - lost));
            let intervals = Intervals::Measured(measured.clone());
            let stated = unseen(&intervals, &[(watch.seconds, 1)], visible).unwrap();
            let observed = observed(habit, watch, &mut random);
            let doubt = of_the_simulation(observed) + 0.01;
            assert!(
                (stated.best - observed).abs() < doubt,
                "{habit:?} {watch:?}: stated {stated:?}, observed {observed}"
            );
        }
    }
}

/// With an interval and a share that are measured on samples the stated interval holds the observed share, as often as it says.
#[test]
fn the_stated_interval_holds_the_observed_share() {
    let mut random = Random::new(11);
    let (mut agree, mut cases, mut apart) = (0, 0, Vec::new());
    for habit in Habit::ALL {
        for (hours, name_share, lost) in [
            (1.0, 0.9, 0.0),
            (2.0, 0.7, 0.05),
            (3.0, 0.4, 0.2),
            (8.0, 0.3, 0.1),
            (24.0, 0.1, 0.1),
        ] {
            let watch = Watch {
                seconds: hours * HOUR,
                named: name_share,
                lost,
            };
            let observed = observed(habit, watch, &mut random);
            for (installations, measured_hours, flows) in [
                (5, 12.0, 100),
                (20, 12.0, 400),
                (3, 48.0, 1000),
                (60, 4.0, 200),
            ] {
                let (whole, running) = measure(
                    installations,
                    habit,
                    HOUR,
                    measured_hours * HOUR,
                    &mut random,
                );
                let Some(measured) = Measured::new(whole, running, 5) else {
                    continue;
                };
                let visible = share(named(flows, name_share, &mut random), flows).times(1.0 - lost);
                let intervals = Intervals::Measured(measured);
                let stated = unseen(&intervals, &[(watch.seconds, 1)], visible).unwrap();
                cases += 1;
                let doubt = of_the_simulation(observed);
                if stated.low - doubt <= observed && observed <= stated.high + doubt {
                    agree += 1;
                } else {
                    apart.push(format!(
                        "{habit:?} {watch:?}: {stated:?}, observed {observed}"
                    ));
                }
            }
        }
    }
    // Where too little was measured there is no number.
    assert!(cases >= 55, "{cases}");
    assert!(agree * 100 >= cases * 95, "{agree} of {cases}: {apart:#?}");
}

/// Where only a mean is stated, clockwork and chance lie at its ends and everything between them within.
#[test]
fn a_stated_interval_holds_what_is_between_clockwork_and_chance() {
    let mut random = Random::new(13);
    for habit in [Habit::Clockwork, Habit::Jittered, Habit::Poisson] {
        for (hours, name_share) in [(0.5, 0.9), (2.0, 0.5), (6.0, 0.3), (30.0, 0.08)] {
            let watch = Watch {
                seconds: hours * HOUR,
                named: name_share,
                lost: 0.0,
            };
            let visible = Estimate::exact(name_share);
            let stated = unseen(&Intervals::Stated(HOUR), &[(watch.seconds, 1)], visible).unwrap();
            let observed = observed(habit, watch, &mut random);
            let doubt = of_the_simulation(observed);
            assert!(
                stated.low - doubt <= observed && observed <= stated.high + doubt,
                "{habit:?} {watch:?}: stated {stated:?}, observed {observed}"
            );
        }
    }
}
