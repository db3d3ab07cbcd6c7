#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::dtls::fuzz_dtls(input.1, input.0);
});
