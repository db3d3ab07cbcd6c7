#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    avscope::decode::fuzz_decode(bytes);
});
