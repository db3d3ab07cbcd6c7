#![no_main]
libfuzzer_sys::fuzz_target!(|input: (usize, &[u8])| {
    avscope::protocol::tls::fuzz_client_hello(input.1, input.0);
});
