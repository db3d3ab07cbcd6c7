#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::tls::fuzz_server_flight(input.1, input.0);
});
