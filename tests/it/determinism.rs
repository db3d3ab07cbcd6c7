//! Law 2: the same captures and rules give the same bytes, whoever does the work and however the input is cut.

use std::path::{Path, PathBuf};

use avscope::aggregate::MemoryLimits;
use avscope::capture::{CaptureFiles, InputOptions};
use avscope::config::Limits;
use avscope::pipeline::DnsLimits;

use super::generator::capture_generator::{
    generate,
    options::{Options, Shape},
};
use super::support::{Run, Way, assert_conserved, pcaps, records, run, run_source};

/// A capture of this shape in `folder`.
fn capture(folder: &Path, shape: Shape, packets: Option<u64>, flows: Option<u64>) -> PathBuf {
    let path = folder.join(format!("{shape:?}.pcap"));
    let mut options = Options::new(shape, path.clone());
    options.packets = packets;
    options.flows = flows;
    generate(&options).unwrap();
    path
}

fn assert_same(one: &Run, other: &Run, what: &str) {
    assert_eq!(one.report, other.report, "{what}: the report differs");
    assert_eq!(one.names, other.names, "{what}: the names differ");
    // Not assert_eq: nobody can read megabytes of difference.
    if one.events != other.events {
        let lines = |run: &Run| {
            String::from_utf8_lossy(&run.events)
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let (one, other) = (lines(one), lines(other));
        let at = one
            .iter()
            .zip(&other)
            .position(|(one, other)| one != other)
            .unwrap_or(one.len().min(other.len()));
        panic!(
            "{what}: events differ from line {at} of {} and {}:\n{:?}\n{:?}",
            one.len(),
            other.len(),
            one.get(at),
            other.get(at)
        );
    }
}

#[test]
fn workers_and_batches_do_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let path = [capture(folder.path(), Shape::Office, Some(200_000), None)];
    let reference = run(&path, &Way::default());
    assert_conserved(&reference, "one worker");
    assert_eq!(reference.report["frames"]["read"], 200_000);
    assert!(reference.events.len() > 1_000_000);
    for (workers, batch_frames) in [(2, 64), (4, 64), (8, 64), (1, 1), (1, 7), (4, 1), (3, 7)] {
        let other = run(
            &path,
            &Way {
                workers,
                batch_frames,
                ..Way::default()
            },
        );
        assert_eq!(other.packets_by_worker.len(), workers);
        assert!(
            other.packets_by_worker.iter().all(|packets| *packets > 0),
            "every worker works: {:?}",
            other.packets_by_worker
        );
        assert_same(
            &reference,
            &other,
            &format!("{workers} workers, batches of {batch_frames}"),
        );
    }
}

#[test]
fn tables_that_are_far_too_small_evict_the_same_flows_for_any_number_of_workers() {
    let folder = tempfile::tempdir().unwrap();
    let path = [capture(folder.path(), Shape::ShortTls, None, Some(20_000))];
    let whole = run(&path, &Way::default());
    let needed = whole.report["flows"]["open_max"].as_u64().unwrap() as usize;
    let limits = Limits {
        flows_max: needed / 100,
        names_max: 64,
        handshakes_max: 64,
        handshake_bytes_max: 64 * 2048,
        exposures_max: 50,
    };
    let way = |workers| Way {
        workers,
        limits,
        ..Way::default()
    };
    let reference = run(&path, &way(1));
    assert_conserved(&reference, "one worker, small tables");
    assert!(
        reference.report["flows"]["ended"]["lack_of_resources"]
            .as_u64()
            .unwrap()
            > 10_000,
        "{}",
        reference.report["flows"]
    );
    for workers in [2, 4, 8] {
        for batch_frames in [64, 1] {
            let other = run(
                &path,
                &Way {
                    batch_frames,
                    ..way(workers)
                },
            );
            assert!(other.packets_by_worker.iter().all(|packets| *packets > 0));
            assert_same(&reference, &other, &format!("{workers} workers"));
        }
    }
}

#[test]
fn cutting_the_capture_into_files_does_not_show() {
    let folder = tempfile::tempdir().unwrap();
    let hellos = capture(folder.path(), Shape::ShortTls, None, Some(2_000));
    // Behind the first segment of a hello that goes on in the next one.
    assert_cuts_do_not_show(folder.path(), &hellos, ends_inside_a_hello);
    let office = capture(folder.path(), Shape::Office, Some(30_000), None);
    // Behind an answer of DNS, before the flow to the address.
    assert_cuts_do_not_show(folder.path(), &office, comes_from_port_53);
}

/// Cuts behind the first forty frames for which `behind` holds, in the middle, and every 997 frames.
fn assert_cuts_do_not_show(folder: &Path, path: &Path, behind: fn(&[u8]) -> bool) {
    let content = std::fs::read(path).unwrap();
    let (header, records) = records(&content);
    let chosen: Vec<usize> = (1..records.len())
        .filter(|at| behind(&records[at - 1][16..]))
        .take(40)
        .collect();
    assert!(chosen.len() >= 10, "{} places to cut", chosen.len());
    let every = (997..records.len()).step_by(997).collect();
    let reference = run(&[path.to_owned()], &Way::default());
    for (name, cuts) in [
        ("chosen", chosen),
        ("middle", vec![records.len() / 2]),
        ("every", every),
    ] {
        let mut paths = Vec::new();
        let mut from = 0;
        for (number, until) in cuts.into_iter().chain([records.len()]).enumerate() {
            let part = folder.join(format!("{name}-{number:04}.pcap"));
            let mut bytes = header.to_vec();
            bytes.extend(records[from..until].concat());
            std::fs::write(&part, bytes).unwrap();
            paths.push(part);
            from = until;
        }
        for workers in [1, 3] {
            let way = Way {
                workers,
                ..Way::default()
            };
            assert_same(
                &reference,
                &run(&paths, &way),
                &format!("{name}, {workers} workers"),
            );
        }
    }
}

fn comes_from_port_53(frame: &[u8]) -> bool {
    let packet = etherparse::SlicedPacket::from_ethernet(frame);
    matches!(
        packet.map(|packet| packet.transport),
        Ok(Some(etherparse::TransportSlice::Udp(udp))) if udp.source_port() == 53
    )
}

/// Whether a frame's payload begins a TLS record of a hello and ends before the record does.
fn ends_inside_a_hello(frame: &[u8]) -> bool {
    let Ok(packet) = etherparse::SlicedPacket::from_ethernet(frame) else {
        return false;
    };
    let Some(etherparse::TransportSlice::Tcp(tcp)) = packet.transport else {
        return false;
    };
    match tcp.payload() {
        [22, 3, _, high, low, 1, rest @ ..] => {
            rest.len() + 1 < usize::from(u16::from_be_bytes([*high, *low]))
        }
        _ => false,
    }
}

#[test]
fn captures_of_real_clients_do_not_show_the_workers_either() {
    for path in super::support::all_captures() {
        let reference = run(std::slice::from_ref(&path), &Way::default());
        for workers in [2, 8] {
            let other = run(
                std::slice::from_ref(&path),
                &Way {
                    workers,
                    batch_frames: 7,
                    ..Way::default()
                },
            );
            assert_same(&reference, &other, &path.display().to_string());
        }
    }
}

/// Every number of workers with every size of batch that differ in how work is dealt out.
fn ways() -> impl Iterator<Item = (usize, usize)> {
    [1, 2, 3, 4, 8]
        .into_iter()
        .flat_map(|workers| [1, 7, 64].map(|batch_frames| (workers, batch_frames)))
}

fn names_in_clear() -> Vec<PathBuf> {
    ["", "-questions", "-answers"]
        .map(|part| pcaps().join(format!("names-in-clear{part}.pcap")))
        .into()
}

#[test]
fn names_in_clear_do_not_show_workers_and_batches() {
    for path in names_in_clear() {
        let path = [path];
        let reference = run(&path, &Way::default());
        assert_conserved(&reference, "names in clear");
        assert!(reference.report["name_services"]["by_outcome"].is_object());
        for (workers, batch_frames) in ways() {
            let way = Way {
                workers,
                batch_frames,
                ..Way::default()
            };
            let what = format!("{} {way:?}", path[0].display());
            assert_same(&reference, &run(&path, &way), &what);
        }
    }
}

#[test]
fn sites_do_not_show_workers_and_batches() {
    let run_sites = |way: &Way| {
        let options = InputOptions {
            site_from_path: true,
            ..InputOptions::default()
        };
        let paths = [pcaps().join("multi-site")];
        let mut source = CaptureFiles::with_options(&paths, &options).unwrap();
        run_source(&mut source, way, |source| source.reports().to_vec())
    };
    let reference = run_sites(&Way::default());
    assert_conserved(&reference, "sites");
    assert_eq!(reference.source_reports.len(), 4);
    for (workers, batch_frames) in ways() {
        let way = Way {
            workers,
            batch_frames,
            ..Way::default()
        };
        assert_same(&reference, &run_sites(&way), &format!("{way:?}"));
    }
}

/// Between a question and its answer, between an answer and the flow to its address, inside of requests: everywhere.
#[test]
fn names_in_clear_may_be_cut_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let path = &names_in_clear()[0];
    let content = std::fs::read(path).unwrap();
    let (header, records) = records(&content);
    let reference = run(std::slice::from_ref(path), &Way::default());
    let parts = |cuts: &[usize]| {
        let ends = cuts.iter().copied().chain([records.len()]);
        let mut from = 0;
        let files: Vec<_> = ends
            .map(|until| {
                let part = folder.path().join(format!("{from:04}.pcap"));
                let bytes = [header, &records[from..until].concat()].concat();
                std::fs::write(&part, bytes).unwrap();
                from = until;
                part
            })
            .collect();
        files
    };
    for at in 1..records.len() {
        // Who does the work changes with the cut, so that every pair of both is not needed.
        let way = Way {
            workers: [1, 2, 3, 4, 8][at % 5],
            batch_frames: [1, 7, 64][at % 3],
            ..Way::default()
        };
        let what = format!("cut at {at}, {way:?}");
        assert_same(&reference, &run(&parts(&[at]), &way), &what);
    }
    let every: Vec<_> = (1..records.len()).collect();
    for workers in [1, 3] {
        let way = Way {
            workers,
            ..Way::default()
        };
        assert_same(&reference, &run(&parts(&every), &way), "a frame a file");
    }
}

/// Bounds of which the least that can be is far too little.
fn least() -> Way {
    Way {
        limits: Limits {
            flows_max: 1,
            names_max: 1,
            handshakes_max: 1,
            handshake_bytes_max: 1,
            exposures_max: 3,
        },
        dns: DnsLimits {
            pending_max: 1,
            pending_per_flow_max: 1,
            ..DnsLimits::default()
        },
        memory: MemoryLimits {
            entries_max: 1,
            ..MemoryLimits::default()
        },
        ..Way::default()
    }
}

#[test]
fn where_questions_names_and_answers_have_no_room_nothing_shows_either() {
    let folder = tempfile::tempdir().unwrap();
    let office = capture(folder.path(), Shape::Office, Some(30_000), None);
    for (path, small) in [(names_in_clear().remove(0), true), (office, false)] {
        let path = [path];
        let reference = run(&path, &least());
        assert_conserved(&reference, "tables of one");
        let report = &reference.report;
        let number = |of: &serde_json::Value| of.as_u64().unwrap();
        assert!(number(&report["flows"]["ended"]["lack_of_resources"]) > 0);
        assert!(number(&report["name_services"]["forgotten"]) > 0);
        assert!(number(&report["exposures_refused"]) > 0);
        if small {
            // Five questions on their way from one port; requests in pieces.
            assert!(number(&report["name_services"]["by_outcome"]["unknown"]) > 0);
            assert!(number(&report["name_services"]["refused"]) > 0);
            assert!(number(&report["handshakes"]["refused_segments"]) > 0);
        } else {
            assert!(number(&report["flows"]["names_refused"]) > 0);
        }
        for (workers, batch_frames) in ways() {
            let way = Way {
                workers,
                batch_frames,
                ..least()
            };
            assert_same(&reference, &run(&path, &way), &format!("{way:?}"));
        }
    }
}
