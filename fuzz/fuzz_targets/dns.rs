#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::dns::fuzz_message(input.1, input.0);
});
