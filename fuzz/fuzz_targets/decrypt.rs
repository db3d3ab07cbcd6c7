#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::decrypt::fuzz_session(input.1, input.0);
});
