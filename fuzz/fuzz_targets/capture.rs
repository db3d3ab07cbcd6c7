#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    avscope::capture::fuzz_capture(bytes);
});
