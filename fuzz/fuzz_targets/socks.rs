#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::socks::fuzz_client(input.1, input.0);
});
