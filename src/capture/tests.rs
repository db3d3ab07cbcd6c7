//! The two ways of reading a file give the same frames, whatever the batch size.

use std::io::Write;

use super::*;
use crate::capture::files::open_stream_for_tests;

fn capture_of(frames: usize) -> Vec<u8> {
    let mut file: Vec<u8> = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1]
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .collect();
    for number in 0..frames {
        let len = (number * 37) % 1500;
        for word in [
            1_700_000_000 + (number / 10) as u32,
            0,
            len as u32,
            len as u32,
        ] {
            file.extend(word.to_le_bytes());
        }
        file.extend(std::iter::repeat_n(number as u8, len));
    }
    file
}

fn frames(mut source: CaptureFiles, capacity: usize) -> Vec<(u64, u64, Vec<u8>)> {
    let mut batch = FrameBatch::with_capacity(capacity);
    let mut all = Vec::new();
    while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
        let bytes = batch.storage.bytes();
        for frame in &batch.descriptors {
            let start = frame.offset as usize;
            all.push((
                frame.seq,
                frame.stream_time.as_nanos(),
                bytes[start..start + frame.captured_len as usize].to_vec(),
            ));
        }
    }
    assert_eq!(
        source
            .reports()
            .iter()
            .map(|report| report.frames)
            .sum::<u64>(),
        all.len() as u64
    );
    all
}

#[test]
fn mapping_and_streaming_give_the_same_frames() {
    // More than one segment, so that records straddle the border.
    let content = capture_of(4000);
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&content).unwrap();
    let mapped = frames(CaptureFiles::new(vec![file.path().to_owned()]), 64);
    assert_eq!(mapped.len(), 4000);
    for capacity in [1, 7, 64] {
        assert_eq!(
            frames(CaptureFiles::new(vec![file.path().to_owned()]), capacity),
            mapped
        );
        assert_eq!(
            frames(open_stream_for_tests(content.clone()), capacity),
            mapped
        );
    }
}

#[test]
fn a_file_cut_at_any_byte_keeps_what_was_before() {
    let content = capture_of(12);
    let whole = {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&content).unwrap();
        frames(CaptureFiles::new(vec![file.path().to_owned()]), 64)
    };
    for end in 24..content.len() {
        let mut source = open_stream_for_tests(content[..end].to_vec());
        let mut batch = FrameBatch::with_capacity(64);
        let mut count = 0;
        while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
            count += batch.descriptors.len();
        }
        let report = &source.reports()[0];
        assert_eq!(report.frames as usize, count);
        assert!(count < whole.len());
        match report.damage {
            Some(damage) => {
                assert_eq!(damage.kind, DamageKind::CutShort);
                assert!(damage.offset < end as u64);
            }
            None => assert_eq!(
                report.bytes, end as u64,
                "no damage only at the end of a record"
            ),
        }
    }
}

#[test]
fn several_files_share_one_sequence() {
    let mut first = tempfile::NamedTempFile::new().unwrap();
    first.write_all(&capture_of(5)).unwrap();
    let paths = vec![
        first.path().to_owned(),
        "/nonexistent/x.pcap".into(),
        first.path().to_owned(),
    ];
    let mut source = CaptureFiles::new(paths);
    let mut batch = FrameBatch::with_capacity(64);
    let mut seqs = Vec::new();
    while source.next_batch(&mut batch).unwrap() == SourceState::Filled {
        seqs.extend(batch.descriptors.iter().map(|frame| frame.seq));
    }
    assert_eq!(seqs, (0..10).collect::<Vec<_>>());
    let reports = source.reports();
    assert_eq!((reports[0].first_seq, reports[2].first_seq), (0, 5));
    assert!(
        reports[1]
            .error
            .as_ref()
            .unwrap()
            .contains("/nonexistent/x.pcap: cannot open")
    );
}

#[test]
fn hostile_bytes_never_leave_the_window() {
    let content = capture_of(6);
    for position in 0..content.len() {
        for value in [0, 0x7f, 0x80, 0xff] {
            let mut damaged = content.clone();
            damaged[position] = value;
            fuzz_capture(&damaged);
        }
    }
}
