use super::*;

fn near(one: f64, other: f64, within: f64) {
    assert!((one - other).abs() <= within, "{one} is not {other}");
}

#[test]
fn shares_have_wilsons_interval() {
    // Newcombe 1998, Table I: method 3 for 81 of 263, 15 of 148, 0 of 20 and 1 of 29.
    for (part, whole, low, high) in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ] {
        let share = share(part, whole);
        near(share.low, low, 5e-5);
        near(share.high, high, 5e-5);
    }
    near(share(0, 0).high, 1.0, 0.0);
}

#[test]
fn chi_square_is_that_of_the_tables() {
    // Percentage points at 2.5 and 97.5 %.
    for (freedom, low, high) in [
        (10.0, 3.247, 20.483),
        (20.0, 9.591, 34.170),
        (100.0, 74.222, 129.561),
    ] {
        near(chi_square(-Z, freedom) / low, 1.0, 1e-2);
        near(chi_square(Z, freedom) / high, 1.0, 1e-2);
    }
}

#[test]
fn clockwork_and_chance_are_known_in_closed_form() {
    // Half an interval: a contact falls into it or not. Three intervals of which each contact is seen with one half.
    near(like_clockwork(1800.0, 3600.0, 1.0), 0.5, 1e-12);
    near(like_clockwork(10_800.0, 3600.0, 0.5), 0.125, 1e-12);
    near(at_random(7200.0, 3600.0, 0.5), (-1.0_f64).exp(), 1e-12);
}

#[test]
fn the_curve_of_equal_intervals_is_that_of_clockwork() {
    let measured = Measured::new(vec![600.0; 50], vec![], 5).unwrap();
    for visible in [1.0, 0.8, 0.3, 0.02] {
        let curve = Curve::new(&measured.likeliest, 600.0, visible);
        for seconds in [0.0, 150.0, 600.0, 2250.0, 9000.0, 37_500.0, 60_000.0] {
            let exact = like_clockwork(seconds, 600.0, visible);
            near(curve.at(seconds), exact, 1e-3 + exact * 0.02);
        }
    }
}

#[test]
fn the_curve_of_random_intervals_is_that_of_chance() {
    // Quantiles of the exponential distribution with mean 600.
    let intervals: Vec<f64> = (0..2000)
        .map(|at| -600.0 * (1.0 - (f64::from(at) + 0.5) / 2000.0).ln())
        .collect();
    let measured = Measured::new(intervals, vec![], 5).unwrap();
    near(measured.dispersion(), 1.0, 0.01);
    for visible in [1.0, 0.5, 0.1] {
        let curve = Curve::new(&measured.likeliest, 600.0, visible);
        for seconds in [300.0, 1200.0, 3000.0, 12_000.0, 50_000.0] {
            let exact = at_random(seconds, 600.0, visible);
            near(curve.at(seconds), exact, 0.012);
        }
    }
}

#[test]
fn long_silences_weigh_by_their_length() {
    // Whoever looks at any moment for less than the long interval falls into it with 10 of 11, and with what is left of it sees nothing.
    let mut intervals = vec![10.0; 100];
    intervals.push(10_000.0);
    let measured = Measured::new(intervals, vec![], 5).unwrap();
    let curve = Curve::new(&measured.likeliest, 11_000.0 / 101.0, 1.0);
    // The grid knows nothing shorter than a sixteenth of the mean; the silence is beyond its end.
    near(curve.at(1000.0), 9000.0 / 11_000.0, 0.02);
}

#[test]
fn too_few_intervals_say_nothing() {
    assert!(Measured::new(vec![1.0; 4], vec![1.0; 9], 5).is_none());
    assert!(Measured::new(vec![f64::NAN; 9], vec![], 5).is_none());
    assert!(unseen(&Intervals::Stated(60.0), &[], Estimate::exact(1.0)).is_none());
}

#[test]
fn intervals_that_still_ran_have_kaplan_and_meiers_weights() {
    // Two of five still ran: at 2 and at 4. The steps are 1/5, then 4/5 of 1/3 twice; what is left is longer than 5, the longest.
    let measured = Measured::new(vec![1.0, 3.0, 5.0], vec![2.0, 4.0], 3).unwrap();
    let weights: Vec<f64> = measured
        .likeliest
        .iter()
        .map(|(_, weight)| *weight)
        .collect();
    near(weights[0], 1.0 / 5.0, 1e-12);
    near(weights[1], 4.0 / 15.0, 1e-12);
    near(weights[2], 8.0 / 15.0, 1e-12);
    assert_eq!(weights.len(), 3);
    // One that ran longer than all: its share goes on beyond it.
    let measured = Measured::new(vec![1.0; 9], vec![1.2], 5).unwrap();
    let beyond: f64 = (measured.likeliest.iter())
        .filter(|(seconds, _)| *seconds > 1.2)
        .map(|(_, weight)| weight)
        .sum();
    near(beyond, 0.1, 1e-12);
    assert!(measured.mean().best > 1.02);
    // And where most of the time lies in it, nobody knows how long such intervals are.
    assert!(Measured::new(vec![1.0; 9], vec![10.0], 5).is_none());
}

#[test]
fn few_intervals_leave_room_for_long_ones() {
    let few = Measured::new(vec![50.0, 60.0, 70.0, 80.0, 100.0, 400.0], vec![], 5).unwrap();
    let many: Vec<f64> = [50.0, 60.0, 70.0, 80.0, 100.0, 400.0].repeat(50);
    let many = Measured::new(many, vec![], 5).unwrap();
    near(few.mean().best, many.mean().best, 1e-9);
    assert!(few.mean().high > 1.3 * many.mean().high);
    for measured in [few, many] {
        let sum: f64 = measured.longest.iter().map(|(_, weight)| weight).sum();
        near(sum, 1.0, 1e-9);
    }
}

#[test]
fn more_time_and_more_to_be_seen_never_raise_the_chance() {
    let measured = Measured::new(
        vec![50.0, 100.0, 300.0, 1000.0, 90.0, 70.0, 2000.0],
        vec![10.0, 400.0],
        5,
    )
    .unwrap();
    let intervals = Intervals::Measured(measured);
    let chance = |hours: f64, visible: f64| {
        let watched = [(hours * 3600.0, 1)];
        unseen(&intervals, &watched, Estimate::exact(visible)).unwrap()
    };
    for hours in 1..40 {
        let (less, more) = (
            chance(f64::from(hours), 0.3),
            chance(f64::from(hours + 1), 0.3),
        );
        assert!(more.best <= less.best && more.high <= less.high);
        let clearer = chance(f64::from(hours), 0.4);
        assert!(clearer.best <= less.best);
        assert!(less.low <= less.best && less.best <= less.high);
    }
}

#[test]
fn hosts_that_were_hardly_watched_raise_it() {
    let intervals = Intervals::Stated(3600.0);
    let visible = Estimate::exact(1.0);
    let long = unseen(&intervals, &[(360_000.0, 10)], visible).unwrap();
    let half = unseen(&intervals, &[(360_000.0, 5), (0.0, 5)], visible).unwrap();
    assert!(long.high < 1e-9);
    near(half.best, 0.5, 1e-9);
}
