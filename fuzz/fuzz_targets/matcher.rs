#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    avscope::attribute::fuzz_matcher(bytes);
});
