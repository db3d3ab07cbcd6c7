#![no_main]
libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    avscope::protocol::quic::fuzz_datagrams(input);
});
