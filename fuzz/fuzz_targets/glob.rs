#![no_main]
// The glob stands before the first line feed, the text it is compared with behind it.
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |&byte| byte == b'\n');
    if let (Some(Ok(glob)), Some(text)) = (parts.next().map(std::str::from_utf8), parts.next()) {
        avscope::attribute::fuzz_glob(glob, text);
    }
});
