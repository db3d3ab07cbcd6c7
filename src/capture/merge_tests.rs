//! Files that overlap, follow each other with jitter, are many, or are compressed: one order, and a manifest that leads back.

use std::io::Write;
use std::path::{Path, PathBuf};

use super::*;

/// One frame in a capture: its time in microseconds, and a mark.
type Mark = (u64, u8);

fn capture(frames: &[Mark]) -> Vec<u8> {
    let mut file: Vec<u8> = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    for (micros, mark) in frames {
        let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
        for word in [1_700_000_000 + seconds as u32, rest as u32, 60, 60] {
            file.extend(word.to_le_bytes());
        }
        file.extend([*mark; 60]);
    }
    file
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstd(content: &[u8]) -> Vec<u8> {
    // With the checksum that the tool writes: without one, damage may decompress to something else unnoticed.
    let mut encoder = ::zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn add(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

/// The marks of all frames in their order; checks `seq`, stream time and the manifest on the way.
fn marks(source: &mut CaptureFiles, capacity: usize) -> Vec<u8> {
    let mut batch = FrameBatch::with_capacity(capacity);
    let mut marks = Vec::new();
    let mut latest = Timestamp::default();
    let mut seqs: Vec<u64> = Vec::new();
    while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
        for frame in &batch.descriptors {
            assert!(seqs.last().is_none_or(|last| last + 1 == frame.seq));
            assert!(frame.stream_time >= latest);
            latest = frame.stream_time;
            seqs.push(frame.seq);
            let start = frame.offset as usize;
            marks.push(batch.storage.bytes()[start]);
        }
    }
    let mut covered: Vec<u64> = source
        .reports()
        .iter()
        .flat_map(|report| &report.runs)
        .flat_map(|run| run.first_seq..run.first_seq + run.frames)
        .filter(|seq| seqs.contains(seq))
        .collect();
    covered.sort_unstable();
    assert_eq!(covered, seqs);
    marks
}

#[test]
fn two_halves_are_one_whole_from_the_first_frame_on() {
    let whole: Vec<Mark> = (0..200u64).map(|n| (n * 70 + n % 3, n as u8)).collect();
    for half in [
        (|n: usize| n.is_multiple_of(2)) as fn(usize) -> bool,
        |n| n % 7 < 3,
        |n| n % 50 < 25,
    ] {
        let folder = Folder::new();
        let pick = |which: bool| -> Vec<Mark> {
            let marked = whole.iter().enumerate();
            marked
                .filter(|(n, _)| half(*n) == which)
                .map(|(_, frame)| *frame)
                .collect()
        };
        let one = folder.add("rx.pcap", &capture(&pick(true)));
        let other = folder.add("tx.pcap", &zstd(&capture(&pick(false))));
        for paths in [[one.clone(), other.clone()], [other, one]] {
            for capacity in [1, 64] {
                let mut source = CaptureFiles::new(paths.to_vec());
                let expected: Vec<u8> = whole.iter().map(|(_, mark)| *mark).collect();
                assert_eq!(marks(&mut source, capacity), expected);
            }
        }
    }
}

#[test]
fn jitter_at_a_cut_does_not_turn_frames_round() {
    // Every fourth frame steps back by 2 ms, also across cuts.
    let whole: Vec<Mark> = (0..120u64)
        .map(|n| {
            (
                1_000_000 + n * 500 - if n % 4 == 3 { 2_000 } else { 0 },
                n as u8,
            )
        })
        .collect();
    let expected: Vec<u8> = whole.iter().map(|(_, mark)| *mark).collect();
    for every in [1, 2, 3, 7, 60] {
        let folder = Folder::new();
        let paths: Vec<_> = whole
            .chunks(every)
            .enumerate()
            .map(|(n, piece)| {
                let content = capture(piece);
                let content = if n % 2 == 0 { content } else { gzip(&content) };
                folder.add(&format!("{n:03}.pcap"), &content)
            })
            .collect();
        assert_eq!(
            marks(&mut CaptureFiles::new(paths), 64),
            expected,
            "{every}"
        );
    }
}

#[test]
fn files_given_in_any_order_are_read_in_that_of_their_first_frames() {
    let folder = Folder::new();
    let late = folder.add("a.pcap", &capture(&[(9_000_000, 3), (9_500_000, 4)]));
    let early = folder.add("b.pcap", &capture(&[(1_000_000, 1), (2_000_000, 2)]));
    let mut source = CaptureFiles::new(vec![late, early]);
    assert_eq!(marks(&mut source, 64), [1, 2, 3, 4]);
    let firsts: Vec<_> = source.reports().iter().map(|r| r.first_seq).collect();
    assert_eq!(firsts, [2, 0], "reports stay in the order given");
}

#[test]
fn frames_lead_back_to_their_file_and_place() {
    let folder = Folder::new();
    let one = folder.add("one.pcap", &capture(&[(0, 0), (20_000, 1), (60_000, 2)]));
    let other = folder.add(
        "other.pcap",
        &capture(&[(30_000, 100), (40_000, 101), (90_000, 102)]),
    );
    let mut source = CaptureFiles::new(vec![one, other]);
    assert_eq!(marks(&mut source, 64), [0, 1, 100, 101, 2, 102]);
    let run = |first_seq, first_frame, frames| Run {
        first_seq,
        first_frame,
        frames,
    };
    assert_eq!(source.reports()[0].runs, [run(0, 0, 2), run(4, 2, 1)]);
    assert_eq!(source.reports()[1].runs, [run(2, 0, 2), run(5, 2, 1)]);
}

#[test]
fn one_wild_timestamp_does_not_hold_its_file_back() {
    let folder = Folder::new();
    let one = folder.add(
        "one.pcap",
        &capture(&[(0, 0), (400_000_000_000, 1), (20_000, 2), (60_000, 3)]),
    );
    let other = folder.add("other.pcap", &capture(&[(30_000, 100), (90_000, 101)]));
    assert_eq!(
        marks(&mut CaptureFiles::new(vec![one, other]), 64),
        [0, 1, 2, 100, 3, 101]
    );
}

#[test]
fn more_files_than_may_be_open_wait_and_are_counted() {
    let folder = Folder::new();
    let many = merge::OPEN_MAX + 3;
    let paths: Vec<_> = (0..many)
        .map(|n| {
            let frames = [(n as u64, 1), (50_000_000 + n as u64, 2)];
            folder.add(&format!("{n:03}.pcap"), &capture(&frames))
        })
        .collect();
    let mut source = CaptureFiles::new(paths);
    assert_eq!(marks(&mut source, 64).len(), many * 2);
    assert_eq!(source.files_waited(), 3);
}

#[test]
fn compression_does_not_show_whatever_its_pieces() {
    let frames: Vec<Mark> = (0..40_000u64).map(|n| (n * 100, n as u8)).collect();
    let plain = capture(&frames);
    let expected: Vec<u8> = frames.iter().map(|(_, mark)| *mark).collect();
    let (head, tail) = plain.split_at(plain.len() / 3);
    let folder = Folder::new();
    for (name, content, compression) in [
        ("plain.gz", plain.clone(), Compression::None),
        ("one.pcap", gzip(&plain), Compression::Gzip),
        (
            "members",
            [gzip(head), gzip(tail)].concat(),
            Compression::Gzip,
        ),
        ("one.gz", zstd(&plain), Compression::Zstd),
        (
            "frames.txt",
            [zstd(head), zstd(tail)].concat(),
            Compression::Zstd,
        ),
    ] {
        let path = folder.add(name, &content);
        let mut source = CaptureFiles::new(vec![path]);
        assert_eq!(source.bytes_total(), Some(content.len() as u64));
        assert_eq!(marks(&mut source, 64), expected, "{name}");
        let report = &source.reports()[0];
        assert_eq!(report.damage, None, "{name}");
        assert_eq!(report.compression, Some(compression), "{name}");
        assert_eq!(report.bytes, content.len() as u64, "{name}");
        assert_eq!(source.bytes_read(), content.len() as u64, "{name}");
    }
}

#[test]
fn a_compressed_file_cut_or_damaged_keeps_what_was_before() {
    let frames: Vec<Mark> = (0..30_000u64)
        .map(|n| (n * 100, ((n * n) >> 3) as u8))
        .collect();
    let plain = capture(&frames);
    let folder = Folder::new();
    for packed in [gzip(&plain), zstd(&plain)] {
        let half = folder.add("half", &packed[..packed.len() / 2]);
        let mut source = CaptureFiles::new(vec![half]);
        let seen = marks(&mut source, 64);
        assert!(
            seen.len() > 1000 && seen.len() < frames.len(),
            "{}",
            seen.len()
        );
        assert!(
            seen.iter()
                .zip(&frames)
                .all(|(seen, (_, mark))| seen == mark)
        );
        let damage = source.reports()[0].damage.unwrap();
        assert_eq!(damage.kind, DamageKind::CompressionCutShort);
        assert_eq!(damage.offset, packed.len() as u64 / 2);

        let mut flipped = packed.clone();
        let middle = packed.len() / 2;
        for byte in &mut flipped[middle..middle + 64] {
            *byte ^= 0xff;
        }
        let mut source = CaptureFiles::new(vec![folder.add("flipped", &flipped)]);
        marks(&mut source, 64);
        assert!(source.reports()[0].damage.is_some());

        let stub = folder.add("stub", &packed[..7]);
        let error = CaptureFiles::new(vec![stub]).reports()[0]
            .error
            .clone()
            .unwrap();
        assert!(
            error.contains("before anything could be decompressed"),
            "{error}"
        );
    }
}

#[test]
fn a_bomb_needs_no_more_than_a_segment_at_a_time() {
    // Bytes that are no records: the first length is impossible, and the rest is never decompressed.
    let mut bomb = capture(&[(0, 1)]);
    bomb.extend(std::iter::repeat_n(0xff, 64 << 20));
    let folder = Folder::new();
    for packed in [gzip(&bomb), zstd(&bomb)] {
        let mut source = CaptureFiles::new(vec![folder.add("bomb", &packed)]);
        assert_eq!(marks(&mut source, 64), [1]);
        assert_eq!(
            source.reports()[0].damage.unwrap().kind,
            DamageKind::ImpossibleLength
        );
        assert!(source.bytes_read() <= packed.len() as u64 / 2);
    }
}

#[test]
fn a_directory_is_every_capture_below_it() {
    let folder = Folder::new();
    folder.add("in/b/2.cap", &capture(&[(2, 2)]));
    folder.add("in/a/1", &gzip(&capture(&[(1, 1)])));
    folder.add("in/notes.pcap", b"these are words");
    folder.add("in/empty", b"");
    folder.add("in/.hidden.pcap", &capture(&[(9, 9)]));
    folder.add("in/cut.pcap", &capture(&[])[..10]);
    let inside = folder.path().join("in");
    std::os::unix::fs::symlink(&inside, inside.join("a/loop")).unwrap();
    std::os::unix::fs::symlink(inside.join("b/2.cap"), inside.join("latest")).unwrap();
    std::os::unix::fs::symlink("nowhere", inside.join("dangling.pcap")).unwrap();
    let again = inside.join("b/2.cap");
    let mut source = CaptureFiles::new(vec![inside.clone(), again]);
    assert_eq!(marks(&mut source, 64), [1, 2]);
    let errors: Vec<_> = source
        .reports()
        .iter()
        .filter_map(|report| report.error.clone())
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(errors[0].contains("cut.pcap: ends inside"), "{errors:?}");
    assert!(
        errors[1].contains("dangling.pcap: cannot open"),
        "{errors:?}"
    );
    let passed = source.passed();
    assert_eq!((passed.not_captures, passed.hidden), (2, 1));
    assert_eq!((passed.folder_links, passed.repeated), (1, 2));
    assert_eq!(
        passed.names,
        [inside.join("empty"), inside.join("notes.pcap")]
    );
}

#[test]
fn sites_come_from_the_option_or_the_folder() {
    let folder = Folder::new();
    let one = folder.add("other/berlin/w.pcap", &capture(&[(1, 1)]));
    folder.add("net/berlin/x.pcap", &capture(&[(1, 1)]));
    folder.add("net/paris/2024/y.pcap", &capture(&[(2, 2)]));
    folder.add("net/z.pcap", &capture(&[(3, 3)]));
    let paths = [folder.path().join("net"), one];
    let sites_of = |options: &InputOptions| {
        let source = CaptureFiles::with_options(&paths, options).unwrap();
        let reports = source.reports().iter();
        reports
            .map(|report| source.sites()[usize::from(report.scope)].clone())
            .collect::<Vec<_>>()
    };
    let from_path = InputOptions {
        site_from_path: true,
        ..InputOptions::default()
    };
    assert_eq!(
        sites_of(&from_path),
        ["berlin", "paris/2024", "net", "berlin"]
    );
    let named = InputOptions {
        site: Some("head office".into()),
        isolate: true,
        ..InputOptions::default()
    };
    assert_eq!(sites_of(&named), ["head office"; 4]);
    let isolated = InputOptions {
        isolate: true,
        ..InputOptions::default()
    };
    assert!(sites_of(&isolated)[1].ends_with("net/paris/2024/y.pcap"));
}

#[test]
fn isolated_files_have_clocks_of_their_own_and_one_sequence() {
    let folder = Folder::new();
    let late = folder.add("a.pcap", &capture(&[(9_000_000, 3), (9_500_000, 4)]));
    let early = folder.add("b.pcap", &capture(&[(1_000_000, 1)]));
    let options = InputOptions {
        isolate: true,
        ..InputOptions::default()
    };
    let mut source = CaptureFiles::with_options(&[late, early], &options).unwrap();
    assert_eq!(marks(&mut source, 64), [3, 4]);
    assert!(source.next_world());
    let mut batch = FrameBatch::with_capacity(8);
    assert_eq!(source.next_batch(&mut batch).unwrap(), SourceState::Filled);
    let frame = batch.descriptors[0];
    assert_eq!((frame.seq, frame.scope), (2, 1));
    assert_eq!(frame.stream_time, frame.timestamp);
    assert_eq!(source.next_batch(&mut batch).unwrap(), SourceState::End);
    assert!(!source.next_world());
    assert_eq!(source.clock_stats().steps_back, 0);
}

#[test]
fn more_sites_than_a_flow_key_can_tell_apart_are_refused() {
    let isolated = InputOptions {
        isolate: true,
        ..InputOptions::default()
    };
    let mut paths: Vec<PathBuf> = (0..=u16::MAX)
        .map(|number| format!("/nonexistent/{number}").into())
        .collect();
    let source = CaptureFiles::with_options(&paths, &isolated).unwrap();
    assert_eq!(source.sites().len(), 65_536);
    paths.push("/nonexistent/one-more".into());
    let error = CaptureFiles::with_options(&paths, &isolated).unwrap_err();
    assert!(error.to_string().contains("site number 65,537"), "{error}");
}
