#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::http1::fuzz_requests(input.1, input.0);
});
