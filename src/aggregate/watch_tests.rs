use proptest::prelude::*;

use super::*;

fn watch(limits: WatchLimits) -> Watch {
    let home = Arc::new(HomeNetworks::default());
    Watch::new(limits, home, Arc::new(ZoneTable::default()))
}

fn host(last: u8) -> Place {
    let mut address = [0; 16];
    address[10..].copy_from_slice(&[0xff, 0xff, 10, 0, 0, last]);
    (0, address)
}

#[test]
fn two_packets_are_no_time_and_neighbouring_slots_are() {
    let mut host = HostWatch::default();
    for slot in [1000, 1005, 1010] {
        assert!(host.active(slot).unwrap().0);
    }
    assert_eq!(host.seconds(), 0);
    // What comes late closes a gap on both sides.
    for slot in [1006, 1008, 1007, 1007] {
        host.active(slot).unwrap();
    }
    assert_eq!(host.seconds(), 3 * SLOT_SECONDS);
}

#[test]
fn an_hour_is_counted_once() {
    let mut watch = watch(WatchLimits::default());
    for (first, last) in [(24, 29), (26, 35), (24, 24), (35, 36)] {
        watch.active(host(1), first, last);
    }
    watch.active(host(2), 30, 30);
    let hosts: Vec<_> = watch
        .rows()
        .map(|(key, row)| (key.hour, row.hosts))
        .collect();
    assert_eq!(hosts, [(2, 2), (3, 1)]);
    assert_eq!(watch.total().hosts, 3);
}

#[test]
fn what_is_too_long_ago_is_counted_as_late() {
    let mut watch = watch(WatchLimits::default());
    watch.active(host(1), 1000, 1000);
    watch.active(host(1), 1000 - REMEMBERED, 1000 - REMEMBERED);
    assert_eq!((watch.late, watch.total().hosts), (0, 2));
    watch.active(host(1), 999 - REMEMBERED, 999 - REMEMBERED);
    assert_eq!((watch.late, watch.total().hosts), (1, 2));
}

#[test]
fn hosts_beyond_the_room_are_refused_and_counted() {
    let mut watch = watch(WatchLimits {
        hosts_max: 1,
        ..WatchLimits::default()
    });
    for last in [1, 2, 2, 1] {
        watch.active(host(last), 5, 5);
    }
    assert_eq!((watch.total().hosts, watch.hosts_refused), (1, 2));
}

#[test]
fn addresses_are_no_names() {
    for text in ["10.0.0.1", "[2001:db8::1]", "2001:db8::1", "fe80::1"] {
        assert!(is_address(text.as_bytes()), "{text}");
    }
    for text in ["1.example", "10.0.0.1.example", "a.b", "", "example:443"] {
        assert!(!is_address(text.as_bytes()), "{text}");
    }
}

proptest! {
    /// However many rows there is room for and in whatever order hours come, nothing is lost.
    #[test]
    fn folding_keeps_the_sums(hours in prop::collection::vec((0u32..40, 1u64..1000), 1..200), room in 1usize..20) {
        let mut watch = watch(WatchLimits { hours_max: room, ..WatchLimits::default() });
        for (hour, bytes) in &hours {
            let key = WatchKey { hour: *hour, scope: 0, zone: None };
            watch.change(key, |row| row.cells[0].bytes_out += bytes);
        }
        let sum: u64 = hours.iter().map(|(_, bytes)| bytes).sum();
        prop_assert_eq!(watch.total().total().bytes_out, sum);
        prop_assert!(watch.rows().count() <= room);
        // What is kept are the latest.
        let kept: Vec<u32> = watch.rows().map(|(key, _)| key.hour).collect();
        let mut all: Vec<u32> = hours.iter().map(|(hour, _)| *hour).collect();
        all.sort_unstable();
        all.dedup();
        prop_assert_eq!(&kept[..], &all[all.len().saturating_sub(room)..]);
    }

    /// The same as a list of all slots says.
    #[test]
    fn slots_are_those_of_a_plain_list(slots in prop::collection::vec(500u32..540, 0..60)) {
        let mut host = HostWatch::default();
        let mut list = std::collections::BTreeSet::new();
        for slot in slots {
            let is_new_hour = !list.iter().any(|known| known / SLOTS_PER_HOUR == slot / SLOTS_PER_HOUR);
            let is_new = list.insert(slot);
            prop_assert_eq!(host.active(slot), Some((is_new, is_new && is_new_hour)));
        }
        let pairs = list.iter().filter(|slot| list.contains(&(**slot + 1))).count() as u64;
        prop_assert_eq!(host.seconds(), pairs * SLOT_SECONDS);
    }
}
